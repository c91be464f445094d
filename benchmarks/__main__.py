"""``python -m benchmarks [NAME...]``: measure, show, and write docs/measurements.md."""

import signal
from collections.abc import Callable
from typing import Annotated

import typer

from benchmarks.bench_rig import BenchRig, bench_rig
from benchmarks.fleet import fleet
from benchmarks.local import cold_setup, unit_tests
from benchmarks.mlflow_rate import mlflow_rate
from benchmarks.planning import models, preview, program, rehearsal
from benchmarks.report import Conditions, Report, table, write
from benchmarks.serving import many, serving
from benchmarks.spawn import spawn
from benchmarks.whole_rig import memory, no_change, warm_up
from rig.errors import RigError
from rig.images import ImageError
from rig.steps import console

# In this order: what runs without a rig first, and memory before load leaves its own.
BENCHMARKS: dict[str, Callable[[BenchRig], Report]] = {
    "cold-setup": cold_setup,
    "unit-tests": unit_tests,
    "program": program,
    "preview": preview,
    "rehearsal": rehearsal,
    "models": models,
    "warm-up": warm_up,
    "memory": memory,
    "no-change": no_change,
    "spawn": spawn,
    "mlflow-rate": mlflow_rate,
    "serving": serving,
    "many-models": many,
    "fleet": fleet,
}
ON_DEMAND = ("cold-setup", "fleet")
"""The one fetches gigabytes, the other takes the machine for itself: only when named."""
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def measure(
    names: Annotated[
        list[str] | None,
        typer.Argument(help=f"Of {', '.join(BENCHMARKS)}; else all that need no whole machine."),
    ] = None,
    dry: Annotated[bool, typer.Option("--dry", help="Show only; leave the page alone.")] = False,
) -> None:
    """Measure and write the tables of docs/measurements.md."""
    if unknown := sorted(set(names or ()) - set(BENCHMARKS)):
        raise typer.BadParameter(f"{unknown[0]}; there are {', '.join(BENCHMARKS)}")
    chosen = [name for name in BENCHMARKS if (name in names if names else name not in ON_DEMAND)]
    with bench_rig() as bench:
        for name in chosen:
            console.rule(name)
            conditions = Conditions.now(bench.layout.interface)
            block = table(name, BENCHMARKS[name](bench), conditions)
            console.print(block, markup=False)
            if not dry:
                write(name, block)


def main() -> None:
    """Run; a `kill` ends like Ctrl-C does: the rig that was started is deleted."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app(standalone_mode=False)
    except typer.Exit as error:
        raise SystemExit(error.exit_code) from None
    except (RigError, ImageError) as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        raise SystemExit(1) from None
    except (KeyboardInterrupt, typer.Abort):
        typer.secho("interrupted; nothing of the benchmark's rig is left", err=True)
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
