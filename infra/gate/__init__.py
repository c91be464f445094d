"""The gate: reads what the engine plans, writes it for people, and refuses what destroys."""

from infra.gate.judge import Verdict, judge
from infra.gate.plan import PlanError

__all__ = ["PlanError", "Verdict", "judge"]
