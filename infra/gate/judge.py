"""The verdict on a plan."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.gate.findings import Findings
from infra.gate.markdown import LIMIT
from infra.gate.plan import Plan, parse
from infra.gate.report import render
from infra.gate.terms import Dumped, Terms, terms


@dataclass(frozen=True)
class Verdict:
    """What the gate says."""

    markdown: str
    """The report, short and harmless enough for a comment on a pull request."""
    reasons: tuple[str, ...]
    """Why the plan is refused, in Markdown, a line each; none when it is not."""
    failures: tuple[str, ...]
    """Why the plan cannot be judged."""

    @property
    def refused(self) -> bool:
        """Whether the plan must not be carried out."""
        return bool(self.reasons)

    @property
    def exit_code(self) -> int:
        """0: fine, 1: refused, 2: not judged."""
        return 1 if self.reasons else 2 if self.failures else 0


def judge(
    plan: Mapping[str, Any] | Plan,
    settings: Terms | Dumped | Mapping[str, Any] | None = None,
    limit: int = LIMIT,
) -> Verdict:
    """Look at everything the engine plans; ``PlanError`` when there is nothing to look at.

    Without ``settings``, those in the plan's own configuration count. ``limit`` is how many
    characters the report may have.
    """
    read = plan if isinstance(plan, Plan) else parse(plan)
    found = Findings(read, terms(settings, read.config))
    return Verdict(render(found, limit), found.reasons, found.failures)
