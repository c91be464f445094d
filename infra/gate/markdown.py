"""Text that GitHub may show: whatever a plan says comes out as inert characters.

Names and values of a plan are written by whoever opens a pull request. They appear in code spans
and code blocks only, where GitHub knows no HTML, links, mentions or references.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

MARKER: Final = "<!-- spillway-gate -->"
"""The first line of every report, by which the comment that is to be replaced is found."""
LIMIT: Final = 60_000
"""Characters. GitHub takes 65,536 in a comment, of which others may need some."""
LONGEST: Final = 300
_RUNS: Final = re.compile(r"`+")


def plain(text: object) -> str:
    """One line without what could reorder, hide or break it."""
    line = "".join(
        " " if c in "\t\n\r\u2028\u2029" else "" if unicodedata.category(c)[0] == "C" else c
        for c in str(text)
    )
    line = " ".join(line.split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"


def code(text: object) -> str:
    """Foreign text in a code span, also inside a table."""
    inner = plain(text)
    if not inner:
        return "(empty)"
    # Some renderers take a backslash in front of `\\|` for the escape and end the cell.
    inner = re.sub(r"\\+(?=\|)", "/", inner).replace("|", "\\|")
    fence = "`" * (1 + max((len(run) for run in _RUNS.findall(inner)), default=0))
    pad = " " if inner[0] == "`" or inner[-1] == "`" else ""
    return f"{fence}{pad}{inner}{pad}{fence}"


def block(lines: Iterable[str], language: str = "") -> str:
    """Foreign lines in a code block; a line stays a line, or whatever is in it could end it."""
    kept = [_unbroken(line) for line in lines]
    longest = max((len(run) for line in kept for run in _RUNS.findall(line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}{language}", *kept, fence])


def table(head: Sequence[str], rows: Sequence[Sequence[str]], most: int) -> str:
    """Rows of cells that are safe already; past the limit, a notice of how many are left out."""
    rule = ["---:" if name.startswith("$") else "---" for name in head]
    lines = [head, rule, *rows[:most]]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{text}\n\n{left_out(len(rows) - most)}" if len(rows) > most else text


def left_out(count: int) -> str:
    """Says that there is more."""
    return f"**{count} more not shown here**: the whole report is in the job's artifacts."


def money(usd: float) -> str:
    """Dollars and cents."""
    return f"-${-usd:,.2f}" if usd < 0 else f"${usd:,.2f}"


def _unbroken(line: str) -> str:
    return "".join(
        " " if c in "\n\r\u2028\u2029" else c
        for c in line
        if c in "\t\n\r" or unicodedata.category(c)[0] != "C"
    )
