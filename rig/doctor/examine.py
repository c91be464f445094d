"""All checks of a stack, and how they are told."""

from collections.abc import Sequence
from typing import Final

from rich.markup import escape

from infra.sections import Cloud
from infra.settings import Settings
from rig import stack_file
from rig.doctor import aws, cluster, gcp
from rig.doctor.findings import Finding, Severity
from rig.facts import Facts, Live, Question
from rig.steps import console, step

_MARKS: Final = {
    Severity.WRONG: "[red]✗[/red]",
    Severity.UNSURE: "[yellow]?[/yellow]",
    Severity.FINE: "[green]✓[/green]",
}


def findings(settings: Settings, facts: Facts) -> Sequence[Finding]:
    """What all checks say, in the order in which things are needed."""
    found = list(cluster.check(settings, facts))
    if settings.cloud is Cloud.AWS:
        found += aws.check(settings, facts)
    if settings.cloud is Cloud.GCP:
        found += gcp.check(settings, facts)
    return found


def questions(settings: Settings) -> Sequence[Question]:
    """All that may be asked."""
    clouds = {Cloud.AWS: aws.questions, Cloud.GCP: gcp.questions}
    ask = clouds.get(settings.cloud)
    return [*cluster.questions(settings), *(ask(settings) if ask else [])]


def examine(name: str) -> bool:
    """Ask everything about a stack and say what was found; False when something is wrong."""
    settings = stack_file.read(name)
    facts = Live()
    with step("asking the cluster and the cloud"):
        facts.ask_ahead(questions(settings))
    return tell(findings(settings, facts))


def tell(found: Sequence[Finding]) -> bool:
    """A line for each finding and one for its fix; whether nothing is wrong."""
    for finding in found:
        console.print(f"{_MARKS[finding.severity]} {escape(finding.what)}")
        if finding.fix:
            console.print(f"    {escape(finding.fix)}")
    counts = {kind: sum(f.severity is kind for f in found) for kind in Severity}
    console.print(", ".join(f"{count} {kind}" for kind, count in counts.items()))
    return not counts[Severity.WRONG]
