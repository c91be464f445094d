"""The rig's stack commands, run by the real engine with the stand-in for random."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tiny import CONFIG, NewStack, pulumi, refresh

from rig.stack import (
    Stack,
    StackError,
    destroy,
    environment,
    outputs,
    retained,
    select,
    unlock,
    up,
)

PLAIN = "import pulumi\npulumi.export('seen', pulumi.Config().require('seen'))\n"
QUICK = ["--skip-preview"]
SLOW = "import pathlib, time\npathlib.Path('started').touch()\ntime.sleep(60)\n"


@pytest.fixture
def plain_stack(new_stack: NewStack) -> Stack:
    """No resources: for what only concerns the engine."""
    return new_stack(PLAIN, "config:\n    tiny:seen:   one\n")


def exported(stack: Stack, *arguments: str) -> str:
    done = pulumi(stack, "stack", "export", "--stack", stack.name, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_secret_lives_from_preview_to_destroy(
    new_stack: NewStack, capfd: pytest.CaptureFixture[str]
):
    stack = new_stack()

    up(stack, preview_only=True, extra=["--diff"])
    shown = capfd.readouterr().out
    assert "RandomPassword" in shown
    assert "RandomPassword" not in exported(stack)

    up(stack)
    assert "+ 3 created" in (shown := shown + capfd.readouterr().out)
    secret = outputs(stack, show_secrets=True)
    assert re.fullmatch(r"[A-Za-z0-9]{16}", secret["password"])
    assert re.fullmatch(r"[A-Za-z0-9]{32}", secret["salt"])
    assert outputs(stack) == {"length": 16, "password": "[secret]", "salt": "[secret]"}

    up(stack, extra=QUICK)
    assert "3 unchanged" in (shown := shown + capfd.readouterr().out)
    assert outputs(stack, show_secrets=True) == secret

    stack.config.write_text(CONFIG.replace("16", "24"))
    up(stack, extra=["--diff", *QUICK])
    assert "+-2 replaced" in (shown := shown + capfd.readouterr().out)
    replaced = outputs(stack, show_secrets=True)
    assert len(replaced["password"]) == 24
    assert replaced["salt"] != secret["salt"], "its keeper is the replaced password"

    state, opened = exported(stack), exported(stack, "--show-secrets")
    files = [file.read_bytes() for file in stack.state.rglob("*") if file.is_file()]
    assert len(files) > 5
    for value in [made[name] for made in (secret, replaced) for name in ("password", "salt")]:
        assert value not in shown
        assert value not in state
        assert not any(value.encode() in content for content in files)
    assert replaced["password"] in opened
    assert replaced["salt"] in opened

    destroy(stack)
    assert "- 3 deleted" in capfd.readouterr().out
    assert "RandomPassword" not in exported(stack)


def test_wrong_inputs_stop_before_anything_is_made(
    new_stack: NewStack, capfd: pytest.CaptureFixture[str]
):
    stack = new_stack(config="config:\n  tiny:length: 0\n")
    with pytest.raises(StackError, match="pulumi up of dev failed"):
        up(stack)
    assert "property length value {0} has a problem: must be at least 1" in capfd.readouterr().out
    assert "RandomPassword" not in exported(stack)


def test_the_tracked_configuration_stays_as_written_and_its_edits_count(plain_stack: Stack):
    salts = set[str]()
    for seen in ("one", "two"):
        text = f"# mine\nconfig:\n    tiny:seen:   {seen}   # odd\n"
        plain_stack.config.write_text(text)
        up(plain_stack, extra=QUICK)
        assert outputs(plain_stack) == {"seen": seen}
        assert plain_stack.config.read_text() == text
        salts.add(
            json.loads(exported(plain_stack))["deployment"]["secrets_providers"]["state"]["salt"]
        )
    assert len(salts) == 1, "each command encrypted the state anew"
    up(plain_stack, preview_only=True)
    destroy(plain_stack)
    assert plain_stack.config.read_text() == text
    assert {file.name for file in plain_stack.project.glob("Pulumi*")} == {
        "Pulumi.yaml",
        "Pulumi.dev.yaml",
    }


def test_pulumi_by_hand_and_the_rig_work_on_the_same_stack(plain_stack: Stack):
    select(plain_stack)
    assert pulumi(plain_stack, "config", "set", "--secret", "seen", "hush").returncode == 0
    by_hand = pulumi(plain_stack, "up", "--yes", "--skip-preview")
    assert by_hand.returncode == 0, by_hand.stderr
    assert outputs(plain_stack, show_secrets=True) == {"seen": "hush"}
    text = plain_stack.config.read_text()
    assert "encryptionsalt" in text
    up(plain_stack, preview_only=True)
    assert plain_stack.config.read_text() == text


def test_a_salt_from_another_machine_does_no_harm(plain_stack: Stack):
    with plain_stack.config.open("a") as file:
        file.write("encryptionsalt: v1:AAAAAAAAAAA=:v1:AAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAAAA\n")
    up(plain_stack, preview_only=True)


def test_the_passphrase_is_made_once_and_only_for_its_owner(tmp_path: Path):
    def file() -> Path:
        return Path(environment(tmp_path / "s", base={})["PULUMI_CONFIG_PASSPHRASE_FILE"])

    passphrase = file().read_text()
    assert len(passphrase) >= 40
    assert file().stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o700
    assert file().read_text() == passphrase
    assert {path.name for path in (tmp_path / "s").iterdir()} == {"passphrase", "pulumi"}


def test_another_passphrase_is_told_in_one_line(plain_stack: Stack):
    program = plain_stack.project / "__main__.py"
    program.write_text("import pulumi\npulumi.export('s', pulumi.Output.secret('hush'))\n")
    up(plain_stack, extra=QUICK)
    (plain_stack.state / "passphrase").write_text("another")
    with pytest.raises(StackError, match=r"passphrase in .*/passphrase does not open") as told:
        up(plain_stack, extra=QUICK)
    assert "\n" not in str(told.value)
    assert f"rm -r {plain_stack.state / 'pulumi'}" in str(told.value)


def test_a_lost_passphrase_is_not_replaced_by_a_new_one(plain_stack: Stack):
    select(plain_stack)
    (plain_stack.state / "passphrase").unlink()
    with pytest.raises(StackError, match="passphrase is gone") as told:
        refresh(plain_stack)
    assert "\n" not in str(told.value)
    assert not (plain_stack.state / "passphrase").exists()


def test_a_stack_in_use_is_left_alone_and_a_killed_engine_is_not_in_the_way(
    plain_stack: Stack, capfd: pytest.CaptureFixture[str]
):
    select(plain_stack)
    main = plain_stack.project / "__main__.py"
    main.write_text(SLOW)
    with subprocess.Popen(
        ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--stack", "dev"],
        cwd=plain_stack.project,
        env=dict(plain_stack.env),
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ) as engine:
        try:
            wait_for(plain_stack.project / "started")
            main.write_text(PLAIN)
            with pytest.raises(StackError, match=rf"in use by .* \(pid {engine.pid}\)") as told:
                up(plain_stack, extra=QUICK)
        finally:
            engine.kill()
            stop_session(engine.pid)
    assert "\n" not in str(told.value)
    assert "pulumi cancel" in str(told.value)
    capfd.readouterr()

    up(plain_stack, extra=QUICK)
    assert f"pulumi (pid {engine.pid}) was killed" in capfd.readouterr().err
    assert outputs(plain_stack) == {"seen": "one"}


def test_what_a_killed_engine_was_making_is_mended_once_and_never_by_a_preview(
    new_stack: NewStack, capfd: pytest.CaptureFixture[str]
):
    stack = new_stack()
    up(stack, extra=QUICK)
    state = stack.state / "pulumi/.pulumi/stacks/tiny/dev.json"
    written = json.loads(state.read_text())
    latest = written["checkpoint"]["latest"]
    made = next(r for r in latest["resources"] if r["urn"].endswith("::salt"))
    latest["resources"].remove(made)
    latest["pending_operations"] = [{"type": "creating", "resource": made}]
    state.write_text(json.dumps(written))
    capfd.readouterr()

    up(stack, preview_only=True)
    assert "was interrupted" not in capfd.readouterr().err
    up(stack, extra=QUICK)
    assert "dev was interrupted" in capfd.readouterr().err
    assert "pending_operations" not in exported(stack)
    up(stack, extra=QUICK)
    assert "was interrupted" not in capfd.readouterr().err


def test_unlock_drops_a_lock_of_another_machine(plain_stack: Stack):
    select(plain_stack)
    lock = plain_stack.state / "pulumi/.pulumi/locks/organization/tiny/dev/x.json"
    lock.parent.mkdir(parents=True, exist_ok=True)
    holder = {"pid": 1, "username": "ann", "hostname": "elsewhere"}
    lock.write_text(json.dumps(holder | {"timestamp": "2026-01-01T00:00:00Z"}))
    with pytest.raises(StackError, match=r"in use by ann@elsewhere \(pid 1\)"):
        up(plain_stack, extra=QUICK)
    unlock(plain_stack)
    assert not lock.exists()


def test_no_file_of_the_state_is_one_that_a_kill_can_tear(plain_stack: Stack):
    """The engine replaces all in one step but its sidecars, without which it reads nothing."""
    up(plain_stack, extra=QUICK)
    assert [*plain_stack.state.rglob("*.json")]
    assert [*plain_stack.state.rglob("*.attrs")] == []


def test_configuration_that_is_not_yaml_is_named_as_the_user_knows_it(plain_stack: Stack):
    plain_stack.config.write_text("config:\n  tiny:seen: [one\n")
    with pytest.raises(StackError, match=r"tiny/Pulumi\.dev\.yaml:3 is not valid YAML"):
        up(plain_stack, extra=QUICK)


def test_a_destroy_that_is_refused_has_deleted_nothing(new_stack: NewStack):
    # The one that is protected needs nothing of the other, which could go before it.
    stack = new_stack(
        "import pulumi\nimport pulumi_random as random\n"
        "random.RandomPassword('precious', length=16, opts=pulumi.ResourceOptions(protect=True))\n"
        "random.RandomPassword('other', length=16)\n"
    )
    up(stack, extra=QUICK)
    before = names(stack)
    assert {"precious", "other"} <= before

    with pytest.raises(StackError):
        destroy(stack)

    assert names(stack) == before
    assert pulumi(stack, "state", "unprotect", "--all", "--yes").returncode == 0
    destroy(stack)
    assert not names(stack)


def test_what_a_destroy_keeps_is_known_before_it(new_stack: NewStack):
    stack = new_stack(
        "import pulumi\nimport pulumi_random as random\n"
        "random.RandomId('kept', byte_length=4, "
        "opts=pulumi.ResourceOptions(retain_on_delete=True))\n"
        "random.RandomId('other', byte_length=4)\n"
    )
    assert retained(stack) == {}
    up(stack, extra=QUICK)

    found = retained(stack)

    resources = json.loads(exported(stack))["deployment"]["resources"]
    (kept,) = (one["id"] for one in resources if one["urn"].endswith("::kept"))
    assert found == {"random:index/randomId:RandomId": [kept]}


def names(stack: Stack) -> set[str]:
    resources = json.loads(exported(stack))["deployment"].get("resources", [])
    return {resource["urn"].rpartition("::")[2] for resource in resources}


def test_destroying_a_stack_that_was_never_made_is_no_error(plain_stack: Stack):
    destroy(plain_stack)


def test_without_an_engine_the_way_to_get_one_is_told(tmp_path: Path):
    stack = Stack(project=tmp_path, state=tmp_path, env={"PATH": str(tmp_path)})
    with pytest.raises(StackError, match="make setup"):
        select(stack)


def test_who_is_logged_in_elsewhere_stays_there(tmp_path: Path):
    for elsewhere in (
        {"PULUMI_BACKEND_URL": "s3://state", "PULUMI_CONFIG_PASSPHRASE": "theirs"},
        {"PULUMI_ACCESS_TOKEN": "pul-0", "PULUMI_HOME": "/theirs"},
    ):
        env = environment(tmp_path / "s", base=elsewhere)
        assert {name: env.get(name) for name in elsewhere} == elsewhere
        assert not {"PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE_FILE"} & (
            env.keys() - elsewhere
        )
        assert list((tmp_path / "s").iterdir()) == []


def test_tools_come_first_on_path_and_the_rigs_cluster_wins(tmp_path: Path):
    base = {"PATH": "/usr/bin", "KUBECONFIG": "/home/ann/.kube/production"}
    env = environment(tmp_path, tools=[Path("/a"), Path("/b")], base=base)
    assert env["PATH"].endswith(f"{os.pathsep}/a{os.pathsep}/b{os.pathsep}/usr/bin")
    assert env["KUBECONFIG"] == base["KUBECONFIG"]
    assert environment(tmp_path, kubeconfig=Path("/rig"), base=base)["KUBECONFIG"] == "/rig"


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + 30
    while not file.exists():
        assert time.monotonic() < deadline, f"{file} did not appear in 30 s"
        time.sleep(0.1)


def stop_session(pid: int) -> None:
    """Ends what a killed engine left: its program and plugins are in its session."""
    for found in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = found.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[3]) == pid:
            os.kill(int(found.parent.name), signal.SIGKILL)
