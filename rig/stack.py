"""Runs the Pulumi engine for the user: its environment, and one stack's preview, up and destroy.

It keeps what belongs to this machine (state, passphrase, the salt of the secrets) in a state folder
and never writes into the project. It does not install anything, and knows nothing of the cluster
but its kubeconfig.
"""

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import yaml

from rig import recovery
from rig.errors import RigError

GARBAGE: Final = "400"
"""Go programs that live for seconds: they look for garbage when their memory is five times what is
in use, not twice, which is a twentieth of their time."""
_SALT: Final = re.compile(r"^encryptionsalt:.*\n?", re.MULTILINE)
_BACKENDS: Final = ("PULUMI_BACKEND_URL", "PULUMI_ACCESS_TOKEN")
_PASSPHRASES: Final = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")


class StackError(RigError):
    """What went wrong with the engine, in one line; what it printed itself is not repeated."""


@dataclass(frozen=True, kw_only=True)
class Stack:
    """One stack of one project, on this machine."""

    project: Path
    """The folder of Pulumi.yaml."""
    state: Path
    """What belongs to this machine; shared by all stacks of a rig."""
    env: Mapping[str, str]
    """From `environment`."""
    name: str = "dev"

    @property
    def config(self) -> Path:
        """The tracked file that users edit."""
        return self.project / f"Pulumi.{self.name}.yaml"

    @property
    def _scratch(self) -> Path:
        return self.state / "project"


# -- environment ----------------------------------------------------------------------------------


def environment(
    state: Path,
    *,
    tools: Iterable[Path] = (),
    kubeconfig: Path | None = None,
    base: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Variables with which `pulumi`, also when typed by hand, works on this machine's stacks.

    Only fills what the user has not set: who is logged in to another backend stays there. The
    running Python's folder and `tools` come first on PATH. `kubeconfig` is the exception: it names
    the cluster this rig runs on, so it wins over a cluster that happens to be current.
    """
    env = dict(os.environ if base is None else base)
    path = [Path(sys.executable).parent, *tools]
    env["PATH"] = os.pathsep.join([*map(str, path), env.get("PATH", os.defpath)])
    if kubeconfig is not None:
        env["KUBECONFIG"] = str(kubeconfig)
    env.setdefault("PULUMI_SKIP_UPDATE_CHECK", "true")
    # Most of a step is waiting for somebody else: the engine's own number, four a core, leaves the
    # database's first job waiting for a place among definitions that nobody needs yet.
    env.setdefault("PULUMI_PARALLEL", "32")
    env.setdefault("GOGC", GARBAGE)
    # A plugin that is missing is an error to be told at once, not a download to wait for.
    env.setdefault("PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION", "true")
    # The salt that belongs to the passphrase is read from the state, not from the tracked file.
    env.setdefault("PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER", "true")
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not any(env.get(name) for name in _BACKENDS):
        backend = state / "pulumi"
        backend.mkdir(mode=0o700, exist_ok=True)
        # Beside each file the engine else writes one with its checksum, and not in one step: killed
        # in between, it could never read the state again ("failed to load checkpoint: EOF").
        env["PULUMI_BACKEND_URL"] = f"{backend.resolve().as_uri()}?metadata=skip"
        env.setdefault("PULUMI_HOME", str(state / "pulumi-home"))
        if not any(name in env for name in _PASSPHRASES):
            env["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(_passphrase(state))
    return env


def _passphrase(state: Path) -> Path:
    """The file with this machine's passphrase, made on first use and never shown."""
    file = state / "passphrase"
    if file.exists():
        return file
    if any((state / "pulumi").glob(".pulumi/stacks/*/*.json")):
        raise StackError(
            f"{file} is gone, and with it the secrets in {state / 'pulumi'}: put it back, or start "
            f"over with a new state: rm -r {state / 'pulumi'}"
        )
    # Linked into place, so that another process never reads a passphrase half written.
    handle, written = tempfile.mkstemp(dir=state)
    with os.fdopen(handle, "w") as stream:
        stream.write(secrets.token_urlsafe(32))
    try:
        os.link(written, file)
    except FileExistsError:
        pass
    finally:
        Path(written).unlink()
    return file


# -- what users ask for ---------------------------------------------------------------------------


def select(stack: Stack) -> None:
    """Makes the stack the current one of its project; creates it when there is none."""
    if _select(stack):
        return
    _localize(stack)
    # In a folder beside the state, because the engine writes the salt of the new stack's secrets
    # into the configuration of the folder it runs in.
    _check(stack, ["stack", "new", stack.name, "--no-select"], folder=stack._scratch)
    if not _select(stack):
        raise StackError(f"stack {stack.name} was created, but cannot be found again")


def up(stack: Stack, preview_only: bool = False, extra: Sequence[str] = ()) -> None:
    """Makes the world as the program says, or only shows what that would change.

    The preview runs in both cases, so that what is wrong is refused before anything is made.
    `extra` are more arguments for the engine, such as `--diff`, `--json` or `--target URN`.
    """
    select(stack)
    command = ["preview"] if preview_only else ["up", "--yes"]
    _operate(stack, [*command, *extra])


CHANGING: Final = frozenset({"up", "destroy"})
"""Commands before which an interrupted one is mended."""
PLAN: Final = ("preview", "--json", "--show-sames", "--ignore-protect")
"""In a preview nothing can be lost; held to its locks the engine would stop at the first one."""


def plan(stack: Stack) -> dict[str, Any]:
    """What an ``up`` would change, as the engine plans it, also where it refuses to go on."""
    select(stack)
    config = _localize(stack)
    drop_dead_locks(stack)
    command = [*PLAN, "--stack", stack.name, "--config-file", str(config)]
    _, printed, errors = _run(stack, command)
    try:
        return json.loads(printed)
    except ValueError:
        said = errors.strip().removeprefix("error: ").splitlines() or ["nothing was planned"]
        raise StackError(_advice(stack, errors) or said[0]) from None


def destroy(stack: Stack, extra: Sequence[str] = ()) -> None:
    """Deletes all the stack made; the empty stack and its history stay."""
    if _select(stack):
        _operate(stack, ["destroy", "--yes", *extra])


def retained(stack: Stack) -> dict[str, list[str]]:
    """Names of what a destroy lets the cluster keep, by the engine's type."""
    if not _select(stack):
        return {}
    exported = json.loads(_check(stack, ["stack", "export", "--stack", stack.name]))
    found = dict[str, list[str]]()
    for resource in exported["deployment"].get("resources") or []:
        if resource.get("retainOnDelete"):
            found.setdefault(resource["type"], []).append(resource["id"])
    return {kind: sorted(names) for kind, names in sorted(found.items())}


def configure(stack: Stack, values: Mapping[str, int]) -> None:
    """Change numbers in the stack's own file, by their paths, all or none; comments stay."""
    select(stack)
    said = [word for path, value in values.items() for word in ("--plaintext", f"{path}={value}")]
    file = ("--stack", stack.name, "--config-file", str(stack.config))
    _check(stack, ["config", "set-all", "--path", *file, *said])


def outputs(stack: Stack, show_secrets: bool = False) -> dict[str, Any]:
    """What the stack exported; secrets are `[secret]` unless asked for."""
    command = ["stack", "output", "--json", "--stack", stack.name]
    if show_secrets:
        command.append("--show-secrets")
    result: dict[str, Any] = json.loads(_check(stack, command) or "{}")
    return result


def unlock(stack: Stack) -> None:
    """Drops the locks of the stack, whoever holds them."""
    _check(stack, ["cancel", "--yes", "--stack", stack.name])


# -- the engine -----------------------------------------------------------------------------------


def _operate(stack: Stack, command: Sequence[str]) -> None:
    """Runs an operation; what the engine shows goes to the terminal, errors we know to the user."""
    config = _localize(stack)
    drop_dead_locks(stack)
    if command[0] in CHANGING:
        mend(stack, config)
    arguments = [*command, "--stack", stack.name, "--config-file", str(config)]
    if not sys.stdout.isatty():
        arguments.append("--non-interactive")
    known = ""
    with _engine(stack, arguments) as process:
        for line in process.stderr or ():
            if known or _advice(stack, line):
                known += line
            else:
                sys.stderr.write(line)
    if process.returncode:
        raise StackError(_advice(stack, known) or f"pulumi {command[0]} of {stack.name} failed")


def _check(stack: Stack, command: Sequence[str], folder: Path | None = None) -> str:
    """Runs a quick command and gives back what it printed."""
    code, printed, errors = _run(stack, command, folder)
    if code:
        said = errors.strip().removeprefix("error: ").splitlines() or [f"exit status {code}"]
        raise StackError(_advice(stack, errors) or f"pulumi {' '.join(command[:2])}: {said[0]}")
    return printed


def _run(stack: Stack, command: Sequence[str], folder: Path | None = None) -> tuple[int, str, str]:
    arguments = [*command, "--non-interactive"]
    with _engine(stack, arguments, folder, stdout=subprocess.PIPE) as process:
        printed, errors = process.communicate()
    return process.returncode, printed, errors


def _engine(
    stack: Stack, arguments: Sequence[str], folder: Path | None = None, stdout: int | None = None
) -> subprocess.Popen[str]:
    pulumi = shutil.which("pulumi", path=stack.env["PATH"])
    if pulumi is None:
        raise StackError("there is no pulumi on PATH: run `make setup`")
    return subprocess.Popen(
        [pulumi, *arguments],
        cwd=folder or stack.project,
        env=stack.env,
        text=True,
        stdout=stdout,
        stderr=subprocess.PIPE,
    )


def _select(stack: Stack) -> bool:
    code, _, errors = _run(stack, ["stack", "select", stack.name])
    if code and "no stack named" not in errors:
        said = errors.strip().removeprefix("error: ").splitlines() or [f"exit status {code}"]
        raise StackError(_advice(stack, errors) or f"pulumi stack select: {said[0]}")
    return not code


def _advice(stack: Stack, errors: str) -> str | None:
    """One line for errors whose remedy is known; None for others."""
    if "incorrect passphrase" in errors:
        return (
            f"the passphrase in {_passphrase_source(stack)} does not open the secrets of stack "
            f"{stack.name}: put back the one it was created with{_start_over(stack)}"
        )
    if "unable to read PULUMI_CONFIG_PASSPHRASE_FILE" in errors:
        return f"cannot read the passphrase: {_passphrase_source(stack)}"
    if "the stack is currently locked" in errors:
        return (
            f"stack {stack.name} is in use by {_lock_holders(errors)}: wait for it, or if that "
            f"process is gone, run `pulumi cancel --yes --stack {stack.name}`"
        )
    return None


def _passphrase_source(stack: Stack) -> str:
    if "PULUMI_CONFIG_PASSPHRASE" in stack.env:
        return "PULUMI_CONFIG_PASSPHRASE"
    return stack.env.get("PULUMI_CONFIG_PASSPHRASE_FILE", "PULUMI_CONFIG_PASSPHRASE_FILE")


def _start_over(stack: Stack) -> str:
    backend = _local_backend(stack)
    return f", or start over with a new state: rm -r {backend}" if backend else ""


def _lock_holders(errors: str) -> str:
    return ", ".join(re.findall(r"created by (\S+ \(pid \d+\) at \S+)", errors)) or "someone else"


# -- configuration and locks ----------------------------------------------------------------------


def _localize(stack: Stack) -> Path:
    """The configuration file for the engine: it adds this machine's salt to the file it is given.

    That is a copy, made anew for each command, so that the tracked file stays as the user wrote it.
    A salt in the tracked file (the engine adds it when used by hand) is left out of the copy: the
    state has the right one. It is kept where values are encrypted with it. A stack with a secrets
    provider of its own has nothing of this machine, so its file is used itself.
    """
    text = stack.config.read_text() if stack.config.exists() else ""
    try:
        settings = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        where = f":{mark.line + 1}" if (mark := getattr(error, "problem_mark", None)) else ""
        raise StackError(f"{stack.config}{where} is not valid YAML") from error
    if settings.get("secretsprovider", "default") not in {"default", "passphrase", ""}:
        return stack.config
    if not _has_secrets(settings):
        text = _SALT.sub("", text)
    stack._scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    _replace(stack._scratch / "Pulumi.yaml", (stack.project / "Pulumi.yaml").read_text())
    _replace(local := stack._scratch / stack.config.name, text)
    return local


def _has_secrets(settings: Any) -> bool:
    if isinstance(settings, Mapping):
        return "secure" in settings or any(map(_has_secrets, settings.values()))
    return isinstance(settings, list) and any(map(_has_secrets, settings))


def _replace(file: Path, text: str) -> None:
    handle, written = tempfile.mkstemp(dir=file.parent)
    with os.fdopen(handle, "w") as stream:
        stream.write(text)
    Path(written).replace(file)


def _local_backend(stack: Stack) -> Path | None:
    url = urlsplit(stack.env.get("PULUMI_BACKEND_URL", ""))
    return Path(unquote(url.path)) if url.scheme == "file" and not url.netloc else None


def drop_dead_locks(stack: Stack) -> None:
    """Removes the lock of an engine that was killed: its process is gone, so nothing is in use."""
    if (backend := _local_backend(stack)) is None:
        return
    for lock in backend.glob(f".pulumi/locks/*/*/{stack.name}/*.json"):
        holder = json.loads(lock.read_text())
        if holder["hostname"] == socket.gethostname() and not _alive(holder["pid"]):
            lock.unlink(missing_ok=True)
            sys.stderr.write(
                f"warning: pulumi (pid {holder['pid']}) was killed while it changed {stack.name}: "
                "going on from what it had recorded\n"
            )


def mend(stack: Stack, config: Path) -> None:
    """Finds what a killed engine was making, so that it is not made twice.

    Where another engine is at work, what is pending is its own: the lock then ends this command.
    """
    notes = stack.state / f"interrupted-{stack.name}.json"
    backend = _local_backend(stack)
    if backend is not None:
        # Read without the engine: there is hardly ever anything to do.
        states = list(backend.glob(f".pulumi/stacks/*/{stack.name}.json"))
        pending = any('"pending_operations"' in state.read_text() for state in states)
        if states and not pending and not notes.exists():
            return
        if any(backend.glob(f".pulumi/locks/*/*/{stack.name}/*.json")):
            return

    def engine(command: Sequence[str]) -> str:
        code, printed, errors = _run(stack, [*command, "--stack", stack.name])
        if code:
            said = re.findall(r"error: (.+)", printed + errors) or [f"exit status {code}"]
            reason = _advice(stack, errors) or f"pulumi {command[0]}: {said[0]}"
            raise StackError(f"the last run was interrupted, and this cannot be mended: {reason}")
        return printed

    recovery.mend(engine, stack.name, config, notes)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
