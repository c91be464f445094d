"""A cloud of a test's own, spoken to in the words of the engine but without a process."""

from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2 as wire

from rig.plugins.aws.provider import Aws
from rig.plugins.cloud.provider import Cloud
from rig.plugins.cloud.seed import Context
from rig.plugins.cloud.world import FOLDER
from rig.plugins.gcp.provider import Gcp
from rig.plugins.values import Values, from_struct, plain, to_struct

REGIONS = {"aws": "eu-central-1", "gcp": "europe-west3"}
PROJECT = "example-ds"


class Player:
    """The engine's part: one stack, which remembers what was made."""

    def __init__(self, cloud: Cloud, config: Values) -> None:
        self.cloud = cloud
        self.states: dict[str, tuple[str, str, Values, Values]] = {}
        cloud.Configure(wire.ConfigureRequest(args=to_struct(config)), Context())

    def check(self, token: str, inputs: Values, name: str = "it", olds: Values | None = None):
        return self.cloud.Check(
            wire.CheckRequest(
                urn=urn(token, name),
                type=token,
                news=to_struct(inputs),
                olds=to_struct(olds or {}),
                randomSeed=b"seed",
            ),
            Context(),
        )

    def said(self, token: str, inputs: Values) -> list[str]:
        found = self.check(token, inputs).failures
        return [f"{one.property} {one.reason}".strip() for one in found]

    def checked(self, token: str, inputs: Values, name: str) -> Values:
        answer = self.check(token, inputs, name)
        assert [f"{f.property} {f.reason}" for f in answer.failures] == []
        return from_struct(answer.inputs)

    def preview(self, token: str, inputs: Values, name: str = "it") -> Values:
        request = wire.CreateRequest(
            urn=urn(token, name),
            type=token,
            properties=to_struct(self.checked(token, inputs, name)),
            preview=True,
        )
        return from_struct(self.cloud.Create(request, Context()).properties)

    def create(self, token: str, name: str = "it", /, **inputs: Any) -> str:
        news = self.checked(token, inputs, name)
        request = wire.CreateRequest(urn=urn(token, name), type=token, properties=to_struct(news))
        answer = self.cloud.Create(request, Context())
        self.states[answer.id] = (token, name, news, from_struct(answer.properties))
        return answer.id

    def marked(self, identifier: str) -> Values:
        """Its outputs with the marks of secrets."""
        return self.states[identifier][3]

    def outputs(self, identifier: str) -> Values:
        return plain(self.states[identifier][3])

    def diff(self, identifier: str, /, **changed: Any) -> wire.DiffResponse:
        token, name, before, state = self.states[identifier]
        made_up = {"__defaults", *before.get("__defaults", ())}
        given = {n: v for n, v in before.items() if n not in made_up} | changed
        asked = {n: v for n, v in given.items() if v is not None}
        news = from_struct(self.check(token, asked, name, before).inputs)
        return self.cloud.Diff(
            wire.DiffRequest(
                id=identifier,
                urn=urn(token, name),
                type=token,
                olds=to_struct(state),
                old_inputs=to_struct(before),
                news=to_struct(news),
            ),
            Context(),
        )

    def update(self, identifier: str, /, **changed: Any) -> None:
        token, name, before, state = self.states[identifier]
        news = before | changed
        answer = self.cloud.Update(
            wire.UpdateRequest(
                id=identifier,
                urn=urn(token, name),
                type=token,
                olds=to_struct(state),
                news=to_struct(news),
            ),
            Context(),
        )
        self.states[identifier] = (token, name, news, from_struct(answer.properties))

    def read(self, identifier: str) -> wire.ReadResponse:
        token, name, inputs, state = self.states[identifier]
        return self.cloud.Read(
            wire.ReadRequest(
                id=identifier,
                urn=urn(token, name),
                type=token,
                properties=to_struct(state),
                inputs=to_struct(inputs),
            ),
            Context(),
        )

    def imported(self, token: str, identifier: str) -> wire.ReadResponse:
        request = wire.ReadRequest(id=identifier, urn=urn(token, "it"), type=token)
        return self.cloud.Read(request, Context())

    def delete(self, identifier: str) -> None:
        token, name, inputs, state = self.states[identifier]
        self.cloud.Delete(
            wire.DeleteRequest(
                id=identifier,
                urn=urn(token, name),
                type=token,
                properties=to_struct(state),
                old_inputs=to_struct(inputs),
            ),
            Context(),
        )


def urn(token: str, name: str) -> str:
    return f"urn:pulumi:test::spillway::{token}::{name}"


def play(cloud: str, folder: Path, patch: pytest.MonkeyPatch, **config: Any) -> Player:
    """A player of a cloud whose world is in this folder."""
    patch.setenv(FOLDER, str(folder))
    here: Values = {"region": REGIONS[cloud]}
    if cloud == "gcp":
        here["project"] = PROJECT
    return Player(Aws() if cloud == "aws" else Gcp(), here | config)


def files(folder: Path) -> str:
    """Everything that a world wrote down."""
    return "\n".join(file.read_text() for file in folder.rglob("*") if file.is_file())
