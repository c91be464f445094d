"""The provider: its configuration, its project, and the labels it puts on everything."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from rig.plugins.base import Failure
from rig.plugins.cloud.kinds import Refused
from rig.plugins.cloud.metadata import Schema
from rig.plugins.cloud.provider import Cloud
from rig.plugins.cloud.world import World
from rig.plugins.gcp import burst, iam, network, registry, secretmanager, sql, storage, vpn
from rig.plugins.gcp.names import PROJECT, REGION, label_failures, place_of
from rig.plugins.values import UNKNOWN, Values, is_unknown, plain

VERSION: Final = "10.2.0"
"""The release of pulumi-gcp that this behaves like; its SDK is pinned to the same."""
_MARK: Final = {"goog-pulumi-provisioned": "true"}
_POLICIES: Final = ("DELETE", "ABANDON", "PREVENT")


class Gcp(Cloud):
    """The stand-in for pulumi-gcp."""

    def __init__(self) -> None:
        modules = (network, vpn, sql, storage, iam, secretmanager, registry, burst)
        super().__init__("gcp", VERSION, [kind for module in modules for kind in module.KINDS])

    def config_failures(self, config: Values) -> Iterator[Failure]:
        """Project and region are required; a zone lies in the region; labels are labels."""
        config = plain(config)
        for name, form in (("project", PROJECT), ("region", REGION)):
            value = config.get(name)
            if value is None:
                yield Failure(name, "is required: a rehearsal reads no other configuration")
            elif value is not UNKNOWN and not re.fullmatch(form, value):
                yield Failure(name, f"{value!r} is no {name} of Google Cloud")
        zone, region = config.get("zone"), config.get("region")
        if zone and not is_unknown([zone, region]) and not zone.startswith(f"{region}-"):
            yield Failure("zone", f"{zone!r} is not a zone of {region}")
        yield from label_failures("defaultLabels", config.get("defaultLabels"))

    def settle(self, config: Values, world: World) -> Mapping[str, str]:
        """Any project is there: nobody can know which ones are not."""
        del world
        if not config.get("project"):
            raise Refused("project is required: a rehearsal reads no other configuration")
        return place_of(config, {"project": config["project"], "region": "", "zone": ""})

    def marked(self, schema: Schema, inputs: Values) -> Values:
        """Nothing: labels of the provider show in outputs only."""
        del schema
        return inputs

    def common(self, schema: Schema, inputs: Values, state: Values) -> Values:
        """Labels, and where it is."""
        del state
        found: Values = {}
        if "effectiveLabels" in schema.outputs:
            own, ours = inputs.get("labels") or {}, self._config.get("defaultLabels") or {}
            known = isinstance(plain(own), dict)
            both = {**ours, **plain(own)} if known else {}
            mark = {} if self._config.get("addPulumiAttributionLabel") is False else _MARK
            found["pulumiLabels"] = both if known else UNKNOWN
            found["effectiveLabels"] = {**mark, **both} if known else UNKNOWN
        for name, here in self.here(schema).items():
            found[name] = inputs.get(name) or here
        return found

    def here(self, schema: Schema) -> Mapping[str, str]:
        """Project, region and zone of a resource that does not say them."""
        names = [n for n in ("project", "region", "zone") if n in schema.inputs]
        return {name: self.place[name] for name in names if self.place.get(name)}

    def place_of(self, inputs: Values) -> Mapping[str, str]:
        """A project of its own has a number of its own."""
        return place_of(inputs, self.place)

    def extra_failures(self, schema: Schema, inputs: Values) -> Iterable[Failure]:
        """Labels, projects, regions and policies of deletion are the same for everything."""
        if "effectiveLabels" in schema.outputs:
            yield from label_failures("labels", inputs.get("labels"))
        for name, form in (("project", PROJECT), ("region", REGION)):
            value = inputs.get(name)
            if name in schema.inputs and isinstance(value, str) and not re.fullmatch(form, value):
                yield Failure(name, f"{value!r} is no {name} of Google Cloud")
        policy = inputs.get("deletionPolicy")
        allowed = _POLICIES
        if schema.token.startswith("gcp:servicenetworking/"):
            allowed = (*_POLICIES, "REMOVE_PEERING")
        if isinstance(policy, str) and policy not in allowed:
            yield Failure("deletionPolicy", f"{policy!r} must be one of {', '.join(allowed)}")


def provider() -> Gcp:
    """The stand-in with all its types."""
    return Gcp()
