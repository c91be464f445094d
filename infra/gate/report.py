"""The report: what people read on a pull request, the verdict first."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from infra.gate import migration
from infra.gate.bill import bill
from infra.gate.findings import Findings, titled
from infra.gate.markdown import LIMIT, MARKER, block, code, left_out, table
from infra.gate.plan import ROOT, Change, Plan, Resource, name_of, type_of
from infra.gate.precious import Finding

MOST: Final = (1000, 300, 100, 40, 15, 5, 1)
"""Rows of a table, tried until the report is short enough."""
CUT: Final = "\n\n**The report is cut here.**\n"
CHANGED: Final = 6
"""Names of changed inputs in one cell."""
SIGNS: Final = {
    Change.CREATE: "🟢 create",
    Change.ADOPT: "🟢 adopt",
    Change.UPDATE: "🟡 update",
    Change.REPLACE: "🔴 replace",
    Change.DELETE: "🔴 delete",
}
TENANT: Final = "spillway:index:Tenant"
WORST: Final = list(Change)


def render(found: Findings, limit: int = LIMIT) -> str:
    """The longest report with no more characters than this."""
    text = ""
    for most in MOST:
        text = _render(found, most)
        if len(text) <= limit:
            return text
    return f"{text[: limit - len(CUT)].rpartition(chr(10))[0]}{CUT}"


def _render(found: Findings, most: int) -> str:
    sections = [
        f"{MARKER}\n{_verdict(found, most)}",
        _counts(found.plan),
        _failures(found),
        _losses(found, most),
        _dangers(found, most),
        _permission(found, most),
        _exposures(found, most),
        bill(found, most),
        migration.section(found.plan, found.terms),
        _notes(found, most),
        _changes(found.plan, most),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _verdict(found: Findings, most: int) -> str:
    stack = code(found.plan.stack)
    if found.reasons:
        verdict, why = f"## 🛑 Refused: stack {stack}", found.reasons
    elif found.failures:
        verdict, why = f"## ⚠️ Not judged: stack {stack}", found.failures
    else:
        verdict, why = f"## ✅ Fine: stack {stack}", _let_through(found)
    lines = [f"- {reason}" for reason in why[:most]]
    if len(why) > most:
        lines += ["", left_out(len(why) - most)]
    return "\n".join([verdict, "", *lines]).rstrip()


def _let_through(found: Findings) -> Sequence[str]:
    if not found.objections:
        return ["nothing precious ends, no guard is taken away, nothing opens to the internet"]
    return [f"only because `spillway:allow` names {code(u)}" for u in sorted(found.objections)]


def _counts(plan: Plan) -> str:
    counts = Counter(r.change for r in plan.resources)
    same = max(counts[Change.SAME], plan.digest.change_summary.get("same", 0))
    parts = [
        f"**{counts[change]}** {word}"
        for change, word in (
            (Change.CREATE, "to create"),
            (Change.ADOPT, "to adopt"),
            (Change.UPDATE, "to update"),
            (Change.REPLACE, "to replace"),
            (Change.DELETE, "to delete"),
        )
        if counts[change] or change is not Change.ADOPT
    ]
    return f"{', '.join(parts)}, {same} unchanged (components included, as the engine counts)."


def _failures(found: Findings) -> str:
    said = [line for d in found.plan.errors for line in d.message.strip().splitlines()[:20]]
    if not said:
        return ""
    return f"### The engine could not plan all of it\n\n{block(said[:60])}"


def _losses(found: Findings, most: int) -> str:
    if not found.losses:
        return ""
    head = ("Component", "Resource", "It is", "What is lost", "Because")
    return f"### 🔴 Precious things that end\n\n{_findings(found, found.losses, head, most)}"


def _dangers(found: Findings, most: int) -> str:
    if not found.dangers:
        return ""
    head = ("Component", "Resource", "It is", "What it means", "Because")
    return f"### 🔴 Guards that are taken away\n\n{_findings(found, found.dangers, head, most)}"


def _findings(found: Findings, findings: Sequence[Finding], head: Sequence[str], most: int) -> str:
    rows = [
        (
            _component(found.plan, f.resource),
            _resource(f.resource),
            f"{'🟠' if f.resource.urn in found.allowed else '🔴'} {f.what}"
            f"{' (allowed)' if f.resource.urn in found.allowed else ''}",
            f.why,
            "; ".join(map(code, f.forced[:CHANGED])) or f.because,
        )
        for f in findings
    ]
    return table(head, rows, most)


def _permission(found: Findings, most: int) -> str:
    urns = sorted(found.objections - found.allowed)
    if not urns:
        return ""
    lines = ["spillway:allow:", *(f"  - {urn}" for urn in urns[:most])]
    more = f"\n\n{left_out(len(urns) - most)}" if len(urns) > most else ""
    return (
        "<details><summary>Is it meant? Then name each in the stack's file, and say why in the "
        f"commit.</summary>\n\n{block(lines, 'yaml')}{more}\n\n</details>"
    )


def _exposures(found: Findings, most: int) -> str:
    if not found.exposures:
        return ""
    rows = [
        (
            _component(found.plan, e.resource),
            _resource(e.resource),
            ("🟠" if e.resource.urn in found.allowed else "🔴") if e.opening.refused else "🟡",
            code(e.opening.what),
        )
        for e in sorted(found.exposures, key=lambda e: not e.opening.refused)
    ]
    text = table(("Component", "Resource", "", "What opens"), rows, most)
    return (
        f"### Newly reachable\n\n{text}\n\n🔴 by anybody on the internet; 🟡 by machines around "
        "the cluster, or only after another step."
    )


# -- what else to know -----------------------------------------------------------------------------


def _notes(found: Findings, most: int) -> str:
    plan, notes = found.plan, list[str]()
    if plan.truncated:
        notes.append(
            "The engine stopped at something protected and hid what comes after it: make the plan "
            "with `--ignore-protect` to see all of it."
        )
    if plan.digest.maybe_corrupt:
        notes.append("The engine says that the state may be damaged.")
    notes += _teams(plan, most)
    unlocked = [
        r
        for r in plan.resources
        if r.old and r.new and r.old.protect and not r.new.protect and not r.gone
    ]
    notes += _listed("Locks that are taken off (protect)", [r.urn for r in unlocked], most)
    notes += _listed(
        "Known after the change only, so nobody can say yet whether it opens something",
        [f"{u.resource.urn} ({u.path})" for u in found.unjudged],
        most,
    )
    notes += _listed("No price is known for", found.floors[1].unpriced, most)
    notes += _listed(
        "`spillway:allow` names what this plan does not end or weaken: take it out",
        sorted(found.allowed - _touched(found)),
        most,
    )
    return "\n".join(["### Notes", "", *(f"- {note}" for note in notes)]) if notes else ""


def _teams(plan: Plan, most: int) -> list[str]:
    """Tenants that come and go."""
    titles = {
        Change.CREATE: "New tenants",
        Change.DELETE: "Tenants that end, with every home, server and job in their namespace",
    }
    return [
        note
        for change, title in titles.items()
        for note in _listed(
            title,
            [
                r.name.removeprefix("tenant-")
                for r in plan.resources
                if r.type == TENANT and r.change is change
            ],
            most,
        )
    ]


def _touched(found: Findings) -> frozenset[str]:
    """Locks are taken off before anything ends, so an entry for one has its use."""
    return found.objections | {
        r.urn for r in found.plan.resources if r.old and r.new and r.old.protect > r.new.protect
    }


def _listed(title: str, urns: Sequence[str], most: int) -> list[str]:
    if not urns:
        return []
    shown = ", ".join(code(urn) for urn in urns[: min(most, 20)])
    rest = len(urns) - min(most, 20)
    return [f"{title}: {shown}{f' and {rest} more' if rest > 0 else ''}."]


# -- changes ---------------------------------------------------------------------------------------


def _changes(plan: Plan, most: int) -> str:
    groups: dict[str, list[Resource]] = {}
    for resource in plan.resources:
        if resource.change in SIGNS and resource.type != ROOT and resource.state.custom:
            groups.setdefault(plan.component(resource), []).append(resource)
    if not groups:
        return "### Changes\n\nNone."
    order = sorted(groups, key=lambda urn: (-max(map(_badness, groups[urn])), urn))
    rows = [
        (_group(urn), SIGNS[r.change], _resource(r), _why(r))
        for urn in order
        for r in sorted(groups[urn], key=lambda r: (-_badness(r), r.urn))
    ]
    text = table(("Component", "Change", "Resource", "Inputs that change"), rows, most)
    return f"### Changes\n\n{text}"


def _badness(resource: Resource) -> int:
    return WORST.index(resource.change)


def _why(resource: Resource) -> str:
    """Names of inputs, never their values: nobody looked at these for secrets."""
    if not resource.reasons:
        return ""
    more = len(resource.reasons) - CHANGED
    names = ", ".join(code(path) for path in resource.reasons[:CHANGED])
    return f"{names}{f' and {more} more' if more > 0 else ''}"


def _component(plan: Plan, resource: Resource) -> str:
    return _group(plan.component(resource))


def _group(urn: str) -> str:
    if not urn or type_of(urn) == ROOT:
        return "(the stack)"
    return code(f"{type_of(urn).removeprefix('spillway:')} {name_of(urn)}")


def _resource(resource: Resource) -> str:
    return code(titled(resource))
