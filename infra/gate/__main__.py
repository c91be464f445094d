"""``python -m infra.gate PLAN.json``: writes the report, and ends with 0, 1 or 2."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.gate import terms
from infra.gate.judge import judge
from infra.gate.markdown import LIMIT
from infra.gate.plan import PlanError, read

EPILOG = """\
the plan is made with:
  pulumi preview --json --show-sames --ignore-protect --stack STACK > PLAN.json
(--ignore-protect changes nothing in a preview; without it the engine stops at the first protected
resource and does not tell the rest)

exit status:
  0  nothing precious ends, no guard is taken away, nothing opens to the internet, in budget
  1  refused, unless spillway:allow names each of those by its URN
  2  the plan could not be read, or the engine could not make all of it
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge one plan."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.gate",
        description="Judge what the engine plans, and write it for people.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("plan", help="the plan as JSON; - for standard input")
    parser.add_argument(
        "--settings",
        type=Path,
        help="Pulumi.<stack>.yaml; without it, the configuration in the plan itself",
    )
    parser.add_argument("--output", type=Path, help="write the Markdown here, not to the terminal")
    parser.add_argument(
        "--limit", type=int, default=LIMIT, help="characters of the report (default: %(default)s)"
    )
    given = parser.parse_args(arguments)
    try:
        text = sys.stdin.read() if given.plan == "-" else Path(given.plan).read_text("utf-8")
        settings = terms.read(given.settings) if given.settings else None
        verdict = judge(read(text), settings, given.limit)
    except (PlanError, OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    if given.output:
        given.output.write_text(verdict.markdown, "utf-8")
    else:
        sys.stdout.write(verdict.markdown)
    for reason in verdict.reasons or verdict.failures:
        sys.stderr.write(f"{'refused' if verdict.refused else 'not judged'}: {reason}\n")
    return verdict.exit_code


if __name__ == "__main__":
    sys.exit(main())
