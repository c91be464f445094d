"""The stand-in for the `random` plugin, spoken to as the engine does: through its process."""

import base64
import re
import signal
import string
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import grpc
import pulumi_random
import pytest
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import provider_pb2 as wire
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderStub

from rig import plugin_home
from rig.plugins.base import Resource
from rig.plugins.random.provider import VERSION, RandomId, RandomPassword
from rig.plugins.values import UNKNOWN, Secret, Values, from_struct, plain, to_struct

PASSWORD = "random:index/randomPassword:RandomPassword"
ID = "random:index/randomId:RandomId"
LAUNCHER = plugin_home.stand_in("random")


class Plugin:
    """The few calls a test makes, with plain data."""

    def __init__(self, stub: ResourceProviderStub) -> None:
        self.stub = stub

    def check(self, inputs: Values, token: str = PASSWORD) -> list[str]:
        request = wire.CheckRequest(type=token, news=to_struct(inputs))
        return [f"{f.property} {f.reason}".strip() for f in self.stub.Check(request).failures]

    def create(self, inputs: Values, token: str = PASSWORD, preview: bool = False) -> Values:
        request = wire.CreateRequest(type=token, properties=to_struct(inputs), preview=preview)
        return from_struct(self.stub.Create(request).properties)

    def password(self, **inputs: Any) -> str:
        assert self.check(inputs) == []
        return self.create(inputs)["result"].value

    def diff(self, state: Values, inputs: Values, token: str = PASSWORD) -> wire.DiffResponse:
        return self.stub.Diff(
            wire.DiffRequest(type=token, olds=to_struct(state), news=to_struct(inputs))
        )


@pytest.fixture(scope="module")
def process() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([LAUNCHER, "127.0.0.1:1"], stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.fixture(scope="module")
def plugin(process: subprocess.Popen[str]) -> Iterator[Plugin]:
    with grpc.insecure_channel(f"127.0.0.1:{process.stdout.readline().strip()}") as channel:
        yield Plugin(ResourceProviderStub(channel))


def test_it_says_which_plugin_it_stands_in_for(plugin: Plugin):
    assert plugin.stub.GetPluginInfo(Empty()).version == VERSION
    assert plugin.stub.Handshake(wire.ProviderHandshakeRequest()).accept_secrets
    answer = plugin.stub.Configure(wire.ConfigureRequest())
    assert (answer.acceptSecrets, answer.supportsPreview) == (True, True)


def test_its_version_is_that_of_the_sdk_in_use():
    assert version("pulumi-random") == VERSION


@pytest.mark.parametrize(
    ("sdk", "arguments", "ours"),
    [
        (pulumi_random.RandomPassword, pulumi_random.RandomPasswordArgs, RandomPassword),
        (pulumi_random.RandomId, pulumi_random.RandomIdArgs, RandomId),
    ],
)
def test_its_properties_are_those_of_the_sdk(sdk: Any, arguments: Any, ours: type[Resource]):
    """A property that the SDK has and the stand-in forgot would be refused as unknown."""
    inputs = property_names(arguments)
    assert sdk.pulumi_type == ours.token
    assert inputs == set(ours.inputs)
    assert property_names(sdk) - inputs - {"bcryptHash"} == set(ours.outputs)


def property_names(sdk: type) -> set[str]:
    getters = {name for name, member in vars(sdk).items() if isinstance(member, property)}
    return {re.sub(r"_(.)", lambda found: found[1].upper(), name) for name in getters}


def test_a_password_has_the_length_and_a_fresh_value(plugin: Plugin):
    made = {plugin.password(length=24) for _ in range(20)}
    assert len(made) == 20
    assert {len(password) for password in made} == {24}


def test_a_password_uses_every_class_by_default(plugin: Plugin):
    special = "!@#$%&*()-_=+[]{}<>:?"
    drawn = set(plugin.password(length=4000))
    assert drawn == set(string.ascii_letters + string.digits + special)


@pytest.mark.parametrize(
    ("inputs", "allowed"),
    [
        ({"special": False}, string.ascii_letters + string.digits),
        ({"special": False, "numeric": False}, string.ascii_letters),
        ({"special": False, "number": False, "upper": False}, string.ascii_lowercase),
        ({"upper": False, "lower": False, "numeric": False, "overrideSpecial": "_-"}, "_-"),
    ],
)
def test_a_password_keeps_to_the_classes_that_are_on(plugin: Plugin, inputs: Values, allowed: str):
    assert set(plugin.password(length=1000, **inputs)) == set(allowed)


def test_a_password_has_at_least_the_minimum_of_each_class(plugin: Plugin):
    def kind(character: str) -> str:
        classes = {"u": string.ascii_uppercase, "l": string.ascii_lowercase, "n": string.digits}
        return next((name for name, members in classes.items() if character in members), "s")

    minimums = {"minUpper": 2, "minLower": 3, "minNumeric": 4, "minSpecial": 5}
    for _ in range(20):
        counts = Counter(map(kind, plugin.password(length=14, **minimums)))
        assert counts["u"] >= 2
        assert counts["l"] >= 3
        assert counts["n"] >= 4
        assert counts["s"] >= 5


def test_the_required_characters_are_not_always_first(plugin: Plugin):
    first = {plugin.password(length=12, minNumeric=1, special=False)[0] for _ in range(60)}
    assert first - set(string.digits)
    assert len(first) > 10


def test_an_id_is_the_same_in_every_form(plugin: Plugin):
    request = wire.CreateRequest(type=ID, properties=to_struct({"byteLength": 5, "prefix": "p-"}))
    response = plugin.stub.Create(request)
    made = from_struct(response.properties)
    drawn = bytes.fromhex(made["hex"].removeprefix("p-"))
    assert len(drawn) == 5
    assert base64.b64decode(made["b64Std"].removeprefix("p-")) == drawn
    assert base64.urlsafe_b64decode(response.id + "=") == drawn
    assert made["b64Url"] == f"p-{response.id}"
    assert made["dec"] == f"p-{int.from_bytes(drawn)}"


def test_an_id_of_no_bytes_is_refused(plugin: Plugin):
    assert plugin.check({"byteLength": 0}, ID) == ["byteLength must be at least 1, not 0"]


def test_a_password_is_secret_and_never_the_id(plugin: Plugin):
    request = wire.CreateRequest(type=PASSWORD, properties=to_struct({"length": 20}))
    response = plugin.stub.Create(request)
    state = from_struct(response.properties)
    assert {name for name, value in state.items() if isinstance(value, Secret)} == {"result"}
    assert response.id == "none"


def test_a_secret_input_stays_secret_in_the_state(plugin: Plugin):
    state = plugin.create({"length": 8, "keepers": {"token": Secret("hush")}})
    assert state["keepers"]["token"] == Secret("hush")


def test_the_state_has_every_default(plugin: Plugin):
    state = plugin.create({"length": 8})
    del state["result"]
    flags = dict.fromkeys(["lower", "upper", "special", "numeric", "number"], True)
    assert state == {"length": 8} | flags | dict.fromkeys(
        ["minLower", "minUpper", "minNumeric", "minSpecial"], 0
    )


def test_a_preview_knows_that_there_will_be_a_secret_but_makes_none(plugin: Plugin):
    assert plugin.create({"length": 8}, preview=True)["result"].value is UNKNOWN
    assert plugin.create({"length": UNKNOWN}, preview=True)["length"] is UNKNOWN


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({}, "length is required"),
        ({"length": 0}, "length must be at least 1, not 0"),
        ({"length": -3}, "length must be at least 1, not -3"),
        ({"length": "16"}, "length must be a whole number"),
        ({"length": 1.5}, "length must be a whole number"),
        ({"length": True}, "length must be a whole number"),
        ({"length": 8, "lower": "no"}, "lower must be true or false"),
        ({"length": 8, "overrideSpecial": 1}, "overrideSpecial must be text"),
        ({"length": 8, "keepers": {"a": 1}}, "keepers must be a map of texts"),
        ({"length": 8, "keepers": "a"}, "keepers must be a map of texts"),
        ({"length": 8, "lenght": 9}, f"lenght is not a property of {PASSWORD}; did you mean"),
        ({"length": 8, "min_lower": 9}, "did you mean 'minLower'?"),
        ({"length": 8, "zzz": 9}, "known are keepers, length, lower"),
        (
            {"length": 3, "minLower": 2, "minUpper": 2},
            "length must be at least minLower + minNumeric + minSpecial + minUpper = 4, not 3",
        ),
        ({"length": 8, "minLower": -1}, "minLower must be at least 0, not -1"),
        (
            {"length": 8, "lower": False, "upper": False, "number": False, "special": False},
            "one of special, upper, lower, numeric must be true",
        ),
        ({"length": 8, "number": True, "numeric": False}, "number is the old name of 'numeric'"),
    ],
)
def test_wrong_inputs_are_refused_in_one_clear_line(plugin: Plugin, inputs: Values, said: str):
    failures = plugin.check(inputs)
    assert len(failures) == 1
    assert said in failures[0]
    assert "\n" not in failures[0]


@pytest.mark.parametrize(
    "inputs",
    [
        {"length": UNKNOWN},
        {"length": 4, "minLower": UNKNOWN},
        {"length": 4, "special": UNKNOWN, "upper": False, "lower": False, "numeric": False},
        {"length": 4, "keepers": UNKNOWN},
        {"length": 4, "keepers": {"a": UNKNOWN}},
        {"length": Secret(4), "overrideSpecial": Secret("_")},
        {"length": 4, "number": True, "numeric": True},
        {"length": 4, "lower": None, "__defaults": []},
    ],
)
def test_what_may_turn_out_right_is_accepted(plugin: Plugin, inputs: Values):
    assert plugin.check(inputs) == []


def test_a_resource_it_does_not_have_is_named_with_the_way_out(plugin: Plugin):
    [said] = plugin.check({}, "random:index/randomPet:RandomPet")
    assert "RandomPassword" in said
    assert said.endswith("pulumi plugin install resource random " + VERSION)


def test_the_same_inputs_change_nothing(plugin: Plugin):
    state = plugin.create({"length": 8, "keepers": {"a": Secret("1")}})
    for same in (
        {"length": 8, "keepers": {"a": "1"}},
        {"length": 8, "keepers": {"a": "1"}, "lower": True, "number": True, "minUpper": 0},
    ):
        answer = plugin.diff(state, same)
        assert (answer.changes, list(answer.replaces)) == (wire.DiffResponse.DIFF_NONE, [])


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"length": 9}, wire.PropertyDiff.UPDATE_REPLACE),
        ({"special": False}, wire.PropertyDiff.UPDATE_REPLACE),
        ({"minUpper": 1}, wire.PropertyDiff.UPDATE_REPLACE),
        ({"overrideSpecial": "_"}, wire.PropertyDiff.ADD_REPLACE),
        ({"keepers": {"a": "2"}}, wire.PropertyDiff.UPDATE_REPLACE),
        ({"keepers": {"a": UNKNOWN}}, wire.PropertyDiff.UPDATE_REPLACE),
        ({"keepers": None}, wire.PropertyDiff.DELETE_REPLACE),
    ],
)
def test_every_changed_input_replaces(plugin: Plugin, changed: Values, kind: int):
    inputs = {"length": 8, "keepers": {"a": "1"}}
    answer = plugin.diff(plugin.create(inputs), inputs | changed)
    [name] = changed
    assert answer.changes == wire.DiffResponse.DIFF_SOME
    assert list(answer.replaces) == [name]
    assert answer.detailedDiff[name].kind == kind


def test_a_refresh_finds_what_the_state_says(plugin: Plugin):
    state = plugin.create({"length": 8})
    answer = plugin.stub.Read(
        wire.ReadRequest(id="none", type=PASSWORD, properties=to_struct(state))
    )
    assert answer.id == "none"
    assert plain(from_struct(answer.properties)) == plain(state)


def test_an_import_says_that_it_needs_the_real_plugin(plugin: Plugin):
    with pytest.raises(grpc.RpcError, match="not supported by this stand-in") as refused:
        plugin.stub.Read(wire.ReadRequest(id="hunter2", type=PASSWORD))
    assert "hunter2" not in str(refused.value)


def test_the_plugin_ends_at_once_when_the_engine_says_so():
    """The engine waits 5 s for a plugin that ignores its interrupt, in every command."""
    with subprocess.Popen([LAUNCHER], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=3) == 0
        assert process.stderr.read() == b""


def test_a_plugin_whose_engine_was_killed_ends_by_itself():
    engine = f"import subprocess, time; subprocess.Popen(['{LAUNCHER}']); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", engine], stdout=subprocess.PIPE) as process:
        port = int(process.stdout.readline())
        process.kill()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        deadline = time.monotonic() + 10
        stub = ResourceProviderStub(channel)
        while time.monotonic() < deadline:
            try:
                stub.GetPluginInfo(Empty(), timeout=1)
            except grpc.RpcError:
                return
            time.sleep(0.2)
    pytest.fail("the plugin outlived its engine by 10 s")
