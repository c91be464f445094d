"""Why work waits: Kueue's messages in plain words.

They are those of Kueue 0.19, which keeps no codes for most of them: what is not known here is
told as Kueue tells it.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from rig.kube import Object, condition, moment

LONGEST: Final = 200
"""Characters of a message that is not known."""
_FULL = r"insufficient unused quota for \S+ in flavor (?P<full>[^\s,]+), (?P<more>\S+) more needed"
_NEVER = (
    r"insufficient quota for \S+ in flavor (?P<never>[^\s,]+), previously considered podsets "
    r"requests \((?P<before>[^)]*)\) \+ current podset request \((?P<asked>[^)]*)\) > maximum "
    r"capacity \((?P<most>[^)]*)\)"
)
_OTHER = r"flavor (?P<other>\S+) doesn't match node affinity"
_TAINT = r"untolerated taint \{[^}]*\} in flavor (?P<taint>[^\s,;]+)"
_MAKING = r"Pending the preemption of (?P<making>\d+) workload"
_GIVES: Final = re.compile("|".join((_FULL, _NEVER, _OTHER, _TAINT, _MAKING)))
_EVICTED: Final = {
    "Preempted": "it gave way to work with a higher priority",
    "PodsReadyTimeout": "its pods were not ready in time",
    "NodeFailures": "its machine was lost",
    "ClusterQueueStopped": "its queue was stopped",
    "LocalQueueStopped": "its queue was stopped",
}
_SAID: Final = (
    (r"LocalQueue (\S+) doesn't exist", "there is no queue {0} in its namespace: make up"),
    (r"ClusterQueue (\S+) doesn't exist", "the tenant {0} has no queue: make up"),
    (r"(?:LocalQueue|ClusterQueue) (\S+) is (?:inactive|stopped)", "the queue {0} takes no work"),
    (r"no longer fits after processing another workload", "another was quicker; it is tried again"),
)


def waits(workload: Object) -> str:
    """One line."""
    if workload["spec"].get("active") is False:
        return "; ".join(("switched off: it is not tried again by itself", *_before(workload)))
    said = (condition(workload, "QuotaReserved") or {}).get("message", "")
    reasons = [*_now(said)] or ["the queue has not looked at it yet"]
    # A try that was cut short says so in place of what is missing.
    if _put_out(workload) and not _GIVES.search(said):
        reasons = []
    return "; ".join((*reasons, *_before(workload), *_again(workload)))


def _now(message: str) -> Iterator[str]:
    told = [_words(match.groupdict()) for match in _GIVES.finditer(message)]
    if told:
        yield from dict.fromkeys(told)
        return
    for pattern, text in _SAID:
        if found := re.search(pattern, message):
            yield text.format(*found.groups())
            return
    if message:
        yield message[:LONGEST]


def _words(said: dict[str, Any]) -> str:
    if said["full"]:
        return f"{said['full']} is full: {said['more']} more needed"
    if said["never"]:
        most = f"at most {said['most']} of {said['never']} can be held"
        return f"{most}, it asks for {said['asked']}"
    if said["other"]:
        return f"it does not fit {said['other']} (its node selector or affinity)"
    if said["taint"]:
        return f"it does not tolerate a taint of {said['taint']}"
    return f"work that gives way to it is ending ({said['making']})"


def _put_out(workload: Object) -> Object | None:
    evicted = condition(workload, "Evicted")
    return evicted if evicted and evicted["status"] == "True" else None


def _before(workload: Object) -> Iterator[str]:
    """Why it was put out, if it ran before."""
    if evicted := _put_out(workload):
        yield _EVICTED.get(evicted["reason"], f"put out: {evicted.get('message', '')[:LONGEST]}")


def _again(workload: Object) -> Iterator[str]:
    if at := (workload["status"].get("requeueState") or {}).get("requeueAt"):
        yield f"tried again at {moment(at):%H:%M} UTC"
