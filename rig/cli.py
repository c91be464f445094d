"""The command line: ``bin/rig --help``."""

import os
import shlex
import signal
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Annotated

import typer

from rig import cluster, images, stack, toolchain
from rig.control_plane import PROGRAMS, ControlPlane
from rig.errors import RigError
from rig.node import machine
from rig.paths import ROOT
from rig.platform import Platform
from rig.promotion import Rule
from rig.steps import console, step

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
Name = Annotated[str, typer.Option("--stack", help="Which Pulumi.<stack>.yaml.")]


@app.callback()
def about() -> None:
    """One-node cluster and stacks on this machine. SPILLWAY_RIG=name picks another cluster."""


@app.command()
def setup() -> None:
    """Find or build every program and image; nothing is started."""
    cluster.setup_all()


@app.command()
def start() -> None:
    """Start the cluster; one that runs stays as it is, what died of it starts again."""
    node = cluster.Rig()
    node.start()
    console.print(f"export KUBECONFIG={node.layout.kubeconfig}")


@app.command()
def stop() -> None:
    """Stop the cluster and leave nothing of it running; its data stays."""
    cluster.Rig().stop()


@app.command()
def status(
    stack_name: Annotated[
        str | None,
        typer.Option("--stack", help="Pools, queues and costs of this stack, wherever it runs."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="With --stack: docs/gpus.md.")] = False,
) -> None:
    """Show the cluster's processes (exit status 1 when not all run), or what a stack's GPUs do."""
    if stack_name is not None:
        from rig.status.report import tell  # noqa: PLC0415 - the settings take a second to import

        tell(stack_name, as_json=as_json)
        return
    if as_json:
        raise RigError("--json tells of a stack: add --stack prod")
    node = cluster.Rig()
    states = node.status()
    if not states:
        console.print(f"rig {node.layout.name!r} is stopped (start it with: bin/rig start)")
        for trace in machine.traces(node.layout):
            console.print(f"left behind: {trace}")
        raise typer.Exit(1)
    for name, state in states.items():
        console.print(f"{name:<28}{state}")
    console.print(f"{'memory':<28}{node.memory()['rss'] / 2**20:.0f} MiB, pods included")
    console.print(f"{'kubeconfig':<28}{node.layout.kubeconfig}")
    if set(states.values()) != {"RUNNING"}:
        raise typer.Exit(1)


@app.command()
def load(image: Annotated[str, typer.Argument(help="A folder of images/, or an archive.")]) -> None:
    """Build an image if need be and give it to the cluster."""
    programs = cluster.setup()
    cluster.Rig().load([cluster.archive(image, programs)])


@app.command()
def delete(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Stop the cluster and delete all its data."""
    node = cluster.Rig()
    if not yes:
        typer.confirm(f"Delete {node.layout.state} with all volumes and stacks?", abort=True)
    node.delete()


@app.command()
def up(
    name: Name = "dev",
    project: Annotated[
        Path, typer.Option(hidden=True, help="Another folder of Pulumi.yaml, for benchmarks.")
    ] = ROOT,
) -> None:
    """Cluster, images and stack; prints what runs where."""
    Platform(name, project).up()


@app.command()
def password(name: Name = "dev") -> None:
    """Print the password of the login that everybody shares, where there is one."""
    typer.echo(Platform(name).password())


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def preview(
    context: typer.Context,
    name: Name = "dev",
    report: Annotated[Path | None, typer.Option(help="Also write the report here.")] = None,
) -> None:
    """What ``up`` would change, judged by the gate: exit 1 when it destroys what is precious.

    More options go to pulumi, such as --diff, and its own output is shown instead.
    """
    if context.args:
        Platform(name).preview(context.args)
    elif code := Platform(name).judge(report):
        raise typer.Exit(code)


@app.command()
def promote(  # noqa: PLR0913, PLR0917 - options of a command
    model: Annotated[str, typer.Argument(help="One of the stack's models, with two versions.")],
    name: Name = "dev",
    seconds: Annotated[int, typer.Option(help="How long both are watched.", min=1)] = 60,
    requests: Annotated[int, typer.Option(help="That the new one must have got.", min=1)] = 100,
    errors: Annotated[
        float, typer.Option(help="Percent that may fail beyond those of the old one.", min=0)
    ] = 1.0,
    slower: Annotated[
        float, typer.Option(help="Times the old one's p95 that the new one may take.", min=0)
    ] = 1.2,
) -> None:
    """Give all requests to a model's new version if it does well, else to the old one (exit 1)."""
    rule = Rule(requests=requests, errors=errors, slower=slower)
    if not Platform(name).promote(model, rule, seconds):
        raise typer.Exit(1)


@app.command()
def destroy(name: Name = "dev", yes: Annotated[bool, typer.Option("--yes")] = False) -> None:
    """Delete what the stack made, data included; the cluster stays."""
    if not yes:
        typer.confirm(f"Delete everything of stack {name}, data included?", abort=True)
    Platform(name).destroy()


@app.command()
def rehearse(
    name: Name = "prod",
    base: Annotated[
        str | None, typer.Option(help="Git reference of what is deployed: what changed since?")
    ] = None,
    reports: Annotated[
        Path | None, typer.Option(help="Folder for the gate's reports and the engine's logs.")
    ] = None,
) -> None:
    """Play a stack's whole life with the real engine: no cloud, no credentials, no network."""
    from rig import rehearsal  # noqa: PLC0415 - the gate and the SDK take a second to import

    played = rehearsal.Rehearsal(name, base=base, reports=reports)
    rehearsal.enter(sys.argv[1:], played)
    played.play()


@app.command()
def doctor(name: Name = "prod") -> None:
    """What would go wrong with a stack: asks its cluster and cloud, changes nothing."""
    from rig.doctor.examine import examine  # noqa: PLC0415 - the settings take a second to import

    if not examine(name):
        raise typer.Exit(1)


@app.command()
def simulate(  # noqa: PLR0913, PLR0917 - options of a command
    trace: Annotated[
        str, typer.Option(help="philly, helios, or a CSV file: docs/simulation.md.")
    ] = "philly",
    stack_name: Annotated[
        str | None,
        typer.Option("--stack", help="Whose pools and tenants; else rig/simulation/fleet.yaml."),
    ] = None,
    hours: Annotated[float, typer.Option(help="How much of the trace.", min=0.1)] = 24,
    factor: Annotated[
        float, typer.Option(help="Seconds of the trace in one of the replay.", min=1)
    ] = 60,
    only: Annotated[
        str | None, typer.Option(help="queue, no-queue or cloud; else all three, side by side.")
    ] = None,
    reports: Annotated[Path, typer.Option(help="Folder for report.md and its plots.")] = Path(
        "simulation"
    ),
) -> None:
    """Replay a trace of GPU work on a stack's fleet: real queue, real autoscaler, no machines."""
    from rig.simulation import simulate as played  # noqa: PLC0415 - plots take a second to import

    title, found = played.find(trace)
    file = None if stack_name is None else ROOT / f"Pulumi.{stack_name}.yaml"
    if file is not None and not file.exists():
        raise RigError(f"STACK={stack_name}: no {file.name}")
    modes = tuple(played.Mode) if only is None else (played.Mode(only),)
    simulation = played.Simulation(
        trace=found.first(hours),
        title=title,
        factor=factor,
        config=played.config_of(file),
        modes=modes,
    )
    first, *_ = simulation.run(reports)
    if first.promises and not played.kept(first):
        raise typer.Exit(1)


@app.command()
def env(name: Name = "dev") -> None:
    """Print exports for a shell: eval "$(bin/rig env)", then pulumi and kubectl work by hand."""
    for key, value in Platform(name).environment().items():
        if os.environ.get(key) != value:
            typer.echo(f"export {key}={shlex.quote(value)}")


@app.command()
def control_plane(
    folder: Annotated[
        Path | None, typer.Option(help="Keeps the logs; without it, nothing is kept.")
    ] = None,
) -> None:
    """Run a control plane with a fake node until Ctrl-C: no root, no containers, no pods."""
    plane = ControlPlane(folder, programs=toolchain.ensure_all(PROGRAMS))
    with suppress(KeyboardInterrupt), ExitStack() as running:
        with step("starting a control plane"):
            running.enter_context(plane)
        console.print(f"export KUBECONFIG={plane.kubeconfig}")
        plane.wait()


def main() -> None:
    """Run a command; what a person can mend is one line on standard error."""
    # A `kill` ends like Ctrl-C does: tools are ended, nothing is left half-written.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except (RigError, images.ImageError, stack.StackError) as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        typer.secho("interrupted; run it again to go on", err=True)
        raise SystemExit(130) from None
