"""A stand-in for a cloud's plugin: what the engine asks, answered from the world and its rules."""

import functools
import itertools
import os
import random
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import provider_pb2

from rig.plugins.base import Difference, Failure, Plugin, token_of
from rig.plugins.cloud.changes import DEFAULTS, Change, changes, effective, first_delete
from rig.plugins.cloud.kinds import Given, Kind, Made, Refused
from rig.plugins.cloud.metadata import Schema, given, schema
from rig.plugins.cloud.wire import (
    as_known,
    checked,
    config,
    safely,
    secrets_of,
    without_write_only,
)
from rig.plugins.cloud.world import (
    FOLDER,
    Entry,
    World,
    hidden,
    is_write_only,
    now,
    revealed,
)
from rig.plugins.values import (
    UNKNOWN,
    Secret,
    Values,
    from_struct,
    is_unknown,
    plain,
    to_struct,
)

RANDOM_DIGITS: Final = 7
DELAY: Final = "SPILLWAY_CLOUD_DELAY"
"""The variable that says which types take how many seconds: `aws:s3/bucket:Bucket=2,…`."""
_NOT_FOUND: Final = "not found: somebody else deleted it; refresh the stack"


class Cloud(Plugin):
    """A provider whose resources live in a `World`."""

    def __init__(self, name: str, version: str, kinds: Iterable[Kind]) -> None:
        super().__init__(name, version)
        self._kinds = {kind.type: kind for kind in kinds}
        self._schemas_read: dict[str, Schema] = {}
        self._config: Values = {}
        self.place: Mapping[str, str] = {}
        self._world: World | None = None

    # -- what differs between clouds --------------------------------------------------------------

    def config_failures(self, config: Values) -> Iterable[Failure]:
        """What is wrong with the configuration of the provider, beyond names and types."""
        raise NotImplementedError

    def settle(self, config: Values, world: World) -> Mapping[str, str]:
        """Account, region and the like that follow from it; refuses another account."""
        raise NotImplementedError

    def marked(self, schema: Schema, inputs: Values) -> Values:
        """Inputs with what the provider adds to those of every resource."""
        raise NotImplementedError

    def common(self, schema: Schema, inputs: Values, state: Values) -> Values:
        """Outputs that every type has."""
        raise NotImplementedError

    def extra_failures(self, schema: Schema, inputs: Values) -> Iterable[Failure]:
        """Rules that hold for every type."""
        del schema, inputs
        return ()

    def here(self, schema: Schema) -> Mapping[str, str]:
        """Inputs that follow the provider's own where the program gives none."""
        raise NotImplementedError

    # -- the provider itself ----------------------------------------------------------------------

    @safely
    def CheckConfig(self, request: Any, context: Any) -> provider_pb2.CheckResponse:
        """Refuses a configuration with which the cloud could not be reached."""
        del context
        found = config(from_struct(request.news), self._provider_schema)
        failures = self._provider_schema.check(found) or list(self.config_failures(found))
        return checked(request.news, failures, set())

    @safely
    def DiffConfig(self, request: Any, context: Any) -> provider_pb2.DiffResponse:
        """Another configuration is an update: resources say for themselves what it means."""
        del context
        olds, news = plain(from_struct(request.olds)), plain(from_struct(request.news))
        names = [name for name in {**olds, **news} if olds.get(name) != news.get(name)]
        names = [name for name in names if not name.startswith("__") and name != "version"]
        kinds = provider_pb2.DiffResponse
        return kinds(
            changes=kinds.DIFF_SOME if names else kinds.DIFF_NONE,
            diffs=names,
            hasDetailedDiff=True,
            detailedDiff={name: Difference(kind=Difference.UPDATE) for name in names},
        )

    @safely
    def Configure(self, request: Any, context: Any) -> provider_pb2.ConfigureResponse:
        """Opens the cloud that the environment names; there is none by default."""
        del context
        folder = os.environ.get(FOLDER)
        if not folder:
            raise Refused(
                f"this is a stand-in for the {self._name} plugin, for rehearsals alone: it reaches "
                f"no cloud. Set {FOLDER} to a folder, or install the real one: {self._install()}"
            )
        self._world = World(Path(folder) / self._name)
        self._config = plain(config(from_struct(request.args), self._provider_schema))
        self.place = self.settle(self._config, self._world)
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, acceptResources=False, acceptOutputs=False
        )

    @safely
    def Invoke(self, request: Any, context: Any) -> provider_pb2.InvokeResponse:
        """Looks nothing up: a plan that needs to ask a cloud is none without credentials."""
        del context
        raise Refused(f"{request.tok}: look-ups need a cloud, and a rehearsal has none")

    # -- its resources ----------------------------------------------------------------------------

    @safely
    def Check(self, request: Any, context: Any) -> provider_pb2.CheckResponse:
        """Refuses what the SDK or the cloud would refuse; adds names and tags of the provider."""
        del context
        token = token_of(request)
        news = from_struct(request.news)
        if token not in self._kinds:
            return checked(request.news, [Failure("", self._no_rules(token))], set())
        kind, described = self._kinds[token], self._schema(token)
        failures = described.check(news)
        if not failures:
            news = self.marked(described, self._named(kind, request, news))
            asked = Given(plain(given(news)), self.place)
            failures = [failure for rule in kind.rules for failure in rule(asked)]
            failures += self.extra_failures(described, asked.values)
        return checked(to_struct(news), failures, secrets_of(request))

    @safely
    def Diff(self, request: Any, context: Any) -> provider_pb2.DiffResponse:
        """What would change, and what a change of it means."""
        del context
        kind, described = self._kind(request)
        before, state = from_struct(request.old_inputs), from_struct(request.olds)
        wanted = from_struct(request.news)
        before = before or {n: v for n, v in state.items() if n in described.inputs}
        found = changes(kind, described, before, state, wanted)
        found += effective(wanted, state, self.here(described))
        found += self._followers(described, wanted, state, found)
        replaces = list(dict.fromkeys(change.top for change in found if change.replaces))
        kinds = provider_pb2.DiffResponse
        return kinds(
            changes=kinds.DIFF_SOME if found else kinds.DIFF_NONE,
            replaces=replaces,
            diffs=list(dict.fromkeys(change.top for change in found)),
            deleteBeforeReplace=bool(replaces) and first_delete(kind, before, wanted),
            hasDetailedDiff=True,
            detailedDiff={change.path: change.message for change in found},
        )

    @safely
    def Create(self, request: Any, context: Any) -> provider_pb2.CreateResponse:
        """Makes it exist, or says what a preview can know of it."""
        del context
        kind, described = self._kind(request)
        inputs = from_struct(request.properties)
        asked = Given(plain(given(inputs)), self.place_of(plain(given(inputs))))
        with self.world.changing():
            self._refuse_wrong_place(kind, asked, request.urn)
            if request.preview:
                outputs = self._foreseen(described, inputs)
                self._foresee(kind, asked, outputs, request.urn)
                return provider_pb2.CreateResponse(id="", properties=to_struct(outputs))
            name = self._numbered(kind.type, kind.identify(asked.values, asked.place))
            made = Made(asked.values, asked.place, name, self.world, now())
            outputs = self._outputs(kind, described, made, inputs)
            self._refuse_taken(kind, made, outputs)
            self.world.put(self._entry(kind, described, made, inputs, outputs, request.urn))
        _take_time(kind)
        return provider_pb2.CreateResponse(id=made.id, properties=to_struct(outputs))

    @safely
    def Read(self, request: Any, context: Any) -> provider_pb2.ReadResponse:
        """What exists, whatever the engine believes; also what is to be imported."""
        del context
        kind, described = self._kind(request)
        with self.world.looking():
            entry = self.world.find(kind.type, request.id)
            if entry is None:
                return provider_pb2.ReadResponse(id="")
            state, before = from_struct(request.properties), from_struct(request.inputs)
            found = {
                name: as_known(revealed(value, state.get(name, before.get(name))), before.get(name))
                for name, value in entry.inputs.items()
            }
            inputs = {name: value for name, value in found.items() if value is not None}
            written = {n: v for n, v in before.items() if is_write_only(n) or n == DEFAULTS}
            inputs = inputs | (written or {DEFAULTS: []})
            made = Made(plain(given(inputs)), entry.place, entry.id, self.world, entry.created)
            outputs = self._outputs(kind, described, made, inputs)
        return provider_pb2.ReadResponse(
            id=entry.id, properties=to_struct(outputs), inputs=to_struct(inputs)
        )

    @safely
    def Update(self, request: Any, context: Any) -> provider_pb2.UpdateResponse:
        """Changes what exists, where the cloud lets it be changed."""
        del context
        kind, described = self._kind(request)
        state, inputs = from_struct(request.olds), from_struct(request.news)
        asked = Given(plain(given(inputs)), self.place_of(plain(given(inputs))))
        with self.world.changing():
            entry = self._existing(kind, request.id)
            old = Given(plain(revealed(entry.inputs, state)), entry.place)
            for failure in kind.updated(old, asked) if kind.updated else ():
                raise Refused(f"{kind.called} {entry.id}: {failure.property} {failure.reason}")
            # By who it was made: an alias may have given it another URN since.
            self._refuse_wrong_place(kind, asked, entry.urn)
            made = Made(asked.values, entry.place, entry.id, self.world, entry.created)
            if is_unknown(asked.values):
                outputs = state | without_write_only(inputs)
            else:
                outputs = self._outputs(kind, described, made, inputs)
            if not request.preview:
                self.world.put(
                    self._entry(kind, described, made, inputs, outputs, request.urn or entry.urn)
                )
        return provider_pb2.UpdateResponse(properties=to_struct(outputs))

    @safely
    def Delete(self, request: Any, context: Any) -> Empty:
        """Removes it, if nothing that exists needs it and nobody locked it."""
        del context
        kind, _ = self._kind(request)
        with self.world.changing():
            entry = self.world.find(kind.type, request.id)
            if entry is None:
                return Empty()
            state = from_struct(request.properties)
            made = Made(
                plain(revealed(entry.inputs, state)),
                entry.place,
                entry.id,
                self.world,
                entry.created,
            )
            left = list(kind.leaving(made)) if kind.leaving else []
            match made.get("deletionPolicy"):
                case "PREVENT":
                    raise Refused(f"{self._called(entry)}: its deletionPolicy is PREVENT")
                case "ABANDON":
                    return Empty()  # it stays, and only the engine forgets it
            if users := self.world.users(entry, blocking=True):
                named = ", ".join(sorted(self._called(user) for user in users))
                raise Refused(f"{self._called(entry)} is in use by {named}: delete that first")
            self.world.drop(entry)
            for remains in left:
                self.world.put(remains)
            if kind.rests:
                self.world.put(replace(entry, gone=True, uses=[], inputs={}))
        return Empty()

    # -- how ---------------------------------------------------------------------------------------

    @property
    def world(self) -> World:
        """The cloud of this provider."""
        if self._world is None:
            raise Refused("the provider was not configured")
        return self._world

    @functools.cached_property
    def _provider_schema(self) -> Schema:
        return schema(self._name, f"pulumi:providers:{self._name}", init="Provider")

    def _schema(self, token: str) -> Schema:
        if token not in self._schemas_read:
            self._schemas_read[token] = schema(self._name, token)
        return self._schemas_read[token]

    def _kind(self, request: Any) -> tuple[Kind, Schema]:
        token = token_of(request)
        if token not in self._kinds:
            raise Refused(self._no_rules(token))
        return self._kinds[token], self._schema(token)

    def _no_rules(self, token: str) -> str:
        return f"the stand-in has no rules for {token} yet: add it in rig/plugins/{self._name}/"

    def _called(self, entry: Entry) -> str:
        kind = self._kinds.get(entry.token)
        return f"{kind.called if kind else entry.token} {entry.id}"

    def _existing(self, kind: Kind, identifier: str) -> Entry:
        entry = self.world.find(kind.type, identifier)
        if entry is None:
            raise Refused(f"{kind.called} {identifier} {_NOT_FOUND}")
        return entry

    def _named(self, kind: Kind, request: Any, news: Values) -> Values:
        """The inputs with a name: the one made up before, or a new one like the resource's own."""
        if kind.name is None or any(news.get(other) is not None for other in kind.instead):
            return news | {DEFAULTS: []}
        if news.get(kind.name) is not None:
            return news | {DEFAULTS: []}
        olds = from_struct(request.olds)
        if kind.name in (plain(olds.get(DEFAULTS)) or ()) and olds.get(kind.name) is not None:
            name = olds[kind.name]
        else:
            draw = random.Random(request.randomSeed or None)  # noqa: S311 (a name, no secret)
            digits = "".join(draw.choices("0123456789abcdef", k=RANDOM_DIGITS))
            name = f"{request.urn.rsplit('::', 1)[-1]}-{digits}"
            name = name.lower() if self.lowers(kind) else name
        return news | {kind.name: name, DEFAULTS: [kind.name]}

    def lowers(self, kind: Kind) -> bool:
        """Whether names that the provider makes up are in small letters."""
        del kind
        return True

    def place_of(self, inputs: Values) -> Mapping[str, str]:
        """The provider's, but for what the resource says of itself."""
        own = {name: inputs[name] for name in self.place if isinstance(inputs.get(name), str)}
        return {**self.place, **own}

    def _foreseen(self, described: Schema, inputs: Values) -> Values:
        """What is known of a resource before it exists: its inputs, and nothing else."""
        outputs: Values = {
            name: Secret(UNKNOWN) if name in described.secrets else UNKNOWN
            for name in described.outputs
            if not is_write_only(name) and (name in described.computed or name not in inputs)
        }
        outputs = {n: v for n, v in outputs.items() if n in described.computed}
        common = self.common(described, given(inputs), {})
        return self._secretly(described, outputs | common | without_write_only(inputs))

    def _numbered(self, token: str, name: str) -> str:
        """The id with the first number that is free, where it has one."""
        if "{n}" not in name:
            return name
        names = (name.replace("{n}", str(number)) for number in itertools.count(1))
        return next(one for one in names if self.world.taken(token, one) is None)

    def _foresee(self, kind: Kind, asked: Given, outputs: Values, urn: str) -> None:
        """Lets the rest of a preview know it by the names that are known already."""
        names = [plain(outputs.get(n)) for n in (*kind.handles, *kind.unique, kind.name or "")]
        if not is_unknown(asked.values):
            names.append(kind.identify(asked.values, asked.place))
        handles = [name for name in names if isinstance(name, str)]
        inputs = {n: v for n, v in asked.values.items() if not is_unknown(v)}
        self.world.foresee(
            Entry(token=kind.type, id=f"{urn} (planned)", urn=urn, handles=handles, inputs=inputs)
        )

    def _outputs(self, kind: Kind, described: Schema, made: Made, inputs: Values) -> Values:
        computed = kind.outputs(made) | self.common(described, given(inputs), {})
        known = {n: v for n, v in computed.items() if n in described.outputs}
        known = {n: v for n, v in known.items() if n not in inputs or n in described.computed}
        return self._secretly(described, known | without_write_only(inputs))

    @staticmethod
    def _secretly(described: Schema, values: Values) -> Values:
        return {
            name: Secret(plain(value)) if name in described.secrets and value is not None else value
            for name, value in values.items()
        }

    def _followers(
        self, described: Schema, wanted: Values, state: Values, found: list[Change]
    ) -> Iterator[Change]:
        """Outputs that change with the provider's own labels, though no input does."""
        if found:
            return
        for name, value in self.common(described, given(wanted), state).items():
            old = plain(state.get(name))
            other = is_unknown(value) or plain(value) != old
            if name.lower().endswith(("labels", "tagsall")) and old is not None and other:
                yield Change(name, old, plain(value), replaces=False, asked=False)

    def _refs(self, kind: Kind, asked: Given) -> Iterator[tuple[str, str, str, bool]]:
        for ref in kind.refs:
            for path, value in asked.each(ref.path):
                if (name := ref.name(value)) is not None:
                    yield path, ref.token, name, ref.blocks

    def _refuse_wrong_place(self, kind: Kind, asked: Given, urn: str) -> None:
        """What depends on what else exists; as soon as it can be known, so in previews too."""
        for path, token, name, _ in self._refs(kind, asked):
            if self.world.find(token, name) is None:
                raise Refused(
                    f"{kind.called}: {path}: there is no {self._kinds[token].called} {name}"
                )
        for failure in kind.placed(asked, self.world, urn) if kind.placed else ():
            raise Refused(f"{kind.called}: {failure.property} {failure.reason}")

    def _refuse_taken(self, kind: Kind, made: Made, outputs: Values) -> None:
        names = [made.id, *(plain(outputs[n]) for n in kind.unique if outputs.get(n) is not None)]
        for name in names:
            there = self.world.taken(kind.type, name)
            if there is None or (there.gone and not kind.rests):
                continue
            if there.gone:
                raise Refused(f"{kind.called} {name} was deleted lately: {kind.rests}")
            if kind.overwrites:
                continue
            raise Refused(f"{kind.called} {name} exists already")

    def _entry(  # noqa: PLR0913, PLR0917 - what there is to remember
        self, kind: Kind, described: Schema, made: Made, inputs: Values, outputs: Values, urn: str
    ) -> Entry:
        uses: list[list[Any]] = []
        for _, token, name, blocks in self._refs(kind, made):
            if (other := self.world.find(token, name)) is not None:
                uses.append([token, other.id, blocks])
        names = [plain(outputs.get(n)) for n in (*kind.handles, *kind.unique)]
        hide = {n for n, v in outputs.items() if isinstance(v, Secret)}
        return Entry(
            token=kind.type,
            id=made.id,
            urn=urn,
            place=dict(made.place),
            created=made.created,
            handles=[
                name
                for source, name in zip((*kind.handles, *kind.unique), names, strict=True)
                if isinstance(name, str) and source not in hide
            ],
            uses=uses,
            inputs=hidden(given(inputs), described.secrets),
        )


def _take_time(kind: Kind) -> None:
    """It exists from the moment the request is accepted, and is ready later."""
    for one in filter(None, os.environ.get(DELAY, "").split(",")):
        token, _, seconds = one.rpartition("=")
        if token == kind.type:
            time.sleep(float(seconds))
