"""The executables of the stand-ins for clouds, as the engine starts them."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import provider_pb2 as wire
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderStub

from rig import plugin_home
from rig.node.machine import wait_for
from rig.plugins.cloud.provider import DELAY
from rig.plugins.values import to_struct

SLOWEST = 1.5
"""Seconds of work until the engine may speak: every command waits for it."""


@pytest.fixture(params=plugin_home.CLOUDS)
def plugin(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ResourceProviderStub]:
    env = {**os.environ, "SPILLWAY_CLOUD": str(tmp_path)}
    command = [plugin_home.stand_in(request.param)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        with grpc.insecure_channel(f"127.0.0.1:{process.stdout.readline().strip()}") as channel:
            stub = ResourceProviderStub(channel)
            stub.name, stub.pid = request.param, process.pid
            yield stub
        process.kill()


def test_it_stands_in_for_the_release_of_the_sdk(plugin: ResourceProviderStub):
    assert plugin.GetPluginInfo(Empty()).version == version(f"pulumi-{plugin.name}")


def test_it_starts_with_little_work(plugin: ResourceProviderStub):
    stat = Path(f"/proc/{plugin.pid}/stat").read_text().rsplit(")", 1)[1].split()
    ticks = int(stat[11]) + int(stat[12])
    assert ticks / os.sysconf("SC_CLK_TCK") < SLOWEST


def test_it_tells_in_an_error_what_is_wrong(plugin: ResourceProviderStub):
    with pytest.raises(grpc.RpcError) as told:
        plugin.Create(wire.CreateRequest(urn="urn:pulumi:s::p::x:y/z:Z::n", type="x:y/z:Z"))
    assert told.value.details().startswith("the stand-in has no rules for x:y/z:Z yet")
    with pytest.raises(grpc.RpcError) as told:
        plugin.Invoke(wire.InvokeRequest(tok="x:y:z"))
    assert "\n" not in told.value.details()


def test_many_calls_at_once_make_each_thing_once(tmp_path: Path):
    """The engine calls for all that waits for nothing else; no SDK was read yet."""
    cold = str(tmp_path / "cache")
    env = {**os.environ, "SPILLWAY_CLOUD": str(tmp_path), "XDG_CACHE_HOME": cold}
    token, started = "aws:s3/bucket:Bucket", time.monotonic()
    stubs, processes = [], []
    try:
        for _ in range(2):
            process = subprocess.Popen(
                [plugin_home.stand_in("aws")], stdout=subprocess.PIPE, text=True, env=env
            )
            processes.append(process)
            channel = grpc.insecure_channel(f"127.0.0.1:{process.stdout.readline().strip()}")
            stubs.append(ResourceProviderStub(channel))
            stubs[-1].Configure(wire.ConfigureRequest(args=to_struct({"region": "eu-central-1"})))
        calls = [
            stub.Create.future(
                wire.CreateRequest(
                    urn=f"urn:pulumi:s::p::{token}::b{number}",
                    type=token,
                    properties=to_struct({"bucket": f"bucket-{number}"}),
                )
            )
            for number in range(30)
            for stub in stubs
        ]
        failed = sum(call.exception() is not None for call in calls)
    finally:
        for process in processes:
            process.kill()
            process.wait()
            process.stdout.close()
    assert failed == 30, "each bucket was asked for twice"
    assert len(list(tmp_path.glob("aws/s3.Bucket=*.json"))) == 30
    assert time.monotonic() - started < 60


def test_nothing_is_made_after_the_engine_was_killed(tmp_path: Path):
    """The next engine looks for what the dead one was making: it must not come later."""
    token, asked = "aws:s3/bucket:Bucket", 100
    env = {**os.environ, "SPILLWAY_CLOUD": str(tmp_path), DELAY: f"{token}=5"}
    words = ["sh", "-c", '"$0" & echo $!; wait', plugin_home.stand_in("aws")]

    def made() -> int:
        return len(list(tmp_path.glob("aws/s3.Bucket=*.json")))

    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=env) as engine:
        plugin = Path("/proc") / engine.stdout.readline().strip()
        stub = ResourceProviderStub(
            grpc.insecure_channel(f"127.0.0.1:{engine.stdout.readline().strip()}")
        )
        stub.Configure(wire.ConfigureRequest(args=to_struct({"region": "eu-central-1"})))
        calls = [
            stub.Create.future(
                wire.CreateRequest(
                    urn=f"urn:pulumi:s::p::{token}::b{number}",
                    type=token,
                    properties=to_struct({"bucket": f"bucket-{number}"}),
                )
            )
            for number in range(asked)
        ]
        wait_for(lambda: made() or None, 10, "the first bucket")
        engine.send_signal(signal.SIGKILL)
        wait_for(lambda: not plugin.exists() or None, 20, "the orphan's end")
    assert 0 < made() < asked
    assert len(calls) == asked
