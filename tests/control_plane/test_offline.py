"""A command without a network: loopback works, the world does not, and a refusal is loud."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from workloads import UNPRIVILEGED

from rig import offline as module
from rig.offline import REFUSED, offline, refusal

PROBE = """
import errno, json, os, socket
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname()).close()
answers = {}
for family, address in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
    with socket.socket(family) as client:
        client.settimeout(2)
        answers[address] = errno.errorcode.get(client.connect_ex((address, 80)))
print(json.dumps([answers, os.geteuid(), os.readlink("/proc/self/ns/net")]))
"""


@pytest.fixture(params=["as we are", "unprivileged"])
def without(request) -> list[str]:
    """Words before a command that take every privilege away."""
    return [] if request.param == "as we are" else list(UNPRIVILEGED)


def test_loopback_answers_and_the_world_is_unreachable(without):
    command = [*without, *offline([sys.executable, "-c", PROBE])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answers, user, namespace = json.loads(done.stdout)
    assert set(answers.values()) == {"ENETUNREACH"}
    assert user == (65534 if without else os.geteuid())
    assert namespace != str(Path("/proc/self/ns/net").readlink())


def test_outside_of_it_the_probe_does_not_say_so():
    """Only where there is a route: else this machine is offline itself."""
    routes = Path("/proc/net/route").read_text().splitlines()[1:]
    if not any(line.split()[1] == "00000000" for line in routes):
        pytest.skip("this machine has no default route")
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)[0]["192.0.2.1"] != "ENETUNREACH"


def test_exit_status_output_and_pid_are_the_commands_own(without):
    text = "import os, sys; print(os.getpid()); sys.exit(7)"
    process = subprocess.Popen(
        [*without, *offline([sys.executable, "-c", text])], stdout=subprocess.PIPE, text=True
    )
    assert int(process.communicate()[0]) == process.pid
    assert process.returncode == 7


def test_where_namespaces_are_forbidden_it_says_so_and_runs_nothing(tmp_path, monkeypatch):
    """Forbidden by a user namespace that allows no more network namespaces."""
    file = tmp_path / "ran"
    words = " ".join(f"'{word}'" for word in offline(["touch", file]))
    limit = "echo 0 >/proc/sys/user/max_net_namespaces"
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "sh", "-c", f"{limit} && exec {words}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == REFUSED
    assert "NOT OFFLINE" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not file.exists()
    assert refusal() is None
    monkeypatch.setattr(module, "offline", lambda _: ["sh", "-c", "echo reason >&2; exit 125"])
    assert refusal() == "reason"


def test_a_command_that_is_not_there_is_one_line():
    done = subprocess.run(offline(["no-such"]), capture_output=True, text=True, check=False)
    assert done.returncode
    assert done.stderr == "error: no-such: No such file or directory\n"
