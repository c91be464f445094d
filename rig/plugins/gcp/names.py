"""How Google Cloud names things: paths, self links, and the texts that its APIs take."""

import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Final

from rig.plugins.base import Failure
from rig.plugins.cloud.kinds import Kind, Made, at
from rig.plugins.cloud.rules import text
from rig.plugins.values import Values

RFC1035: Final = r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?"
"""https://cloud.google.com/compute/docs/naming-resources"""
SAID: Final = "1 to 63 small letters, digits and hyphens, a letter first, no hyphen last"
PROJECT: Final = r"([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]"
REGION: Final = r"[a-z]+-[a-z]+\d{1,2}"
ZONE: Final = rf"{REGION}-[a-f]"
MEMBER: Final = (
    r"allUsers|allAuthenticatedUsers|(user|group|serviceAccount):[^@\s]+@[^@\s]+|domain:[\w.-]+"
    r"|project(Owner|Editor|Viewer):.+|principal(Set)?://iam\.googleapis\.com/.+"
)
ROLE: Final = r"roles/[A-Za-z0-9._]+|(projects|organizations)/[^/]+/roles/[A-Za-z0-9_.]+"
LABEL_KEY: Final = r"[a-z][a-z0-9_-]{0,62}"
LABEL_VALUE: Final = r"[a-z0-9_-]{0,63}"
MOST_LABELS: Final = 64
_API: Final = "https://www.googleapis.com"


def number_of(project: str) -> str:
    """The number of a project: Google has one for each, and so has the stand-in."""
    return str(10**11 + int(sha256(project.encode()).hexdigest()[:12], 16) % (9 * 10**11))


def compute(
    called: str, type: str, path: str, *, replaces: frozenset[str] | set[str], **more: Any
) -> Kind:
    """A type of Compute Engine with a name of its own, in a project."""
    outputs: Callable[[Made], Values] = more.pop("outputs", lambda _: {})
    return Kind(
        type=f"gcp:compute/{type[0].lower()}{type[1:]}:{type}",
        called=called,
        identify=at("projects/{project}/", path, "/{name}"),
        name="name",
        replaces=frozenset(replaces) | {"name", "project"},
        rules=[text("name", RFC1035, SAID), *more.pop("rules", ())],
        outputs=lambda made: {
            "selfLink": f"{_API}/compute/v1/{made.id}",
            "creationTimestamp": made.created,
            "labelFingerprint": made.hex("labels", 11),
            **outputs(made),
        },
        **more,
    )


def label_failures(path: str, labels: Any) -> list[Failure]:
    """https://cloud.google.com/resource-manager/docs/labels-overview#requirements"""

    found: list[Failure] = []
    if not isinstance(labels, dict):
        return found
    if len(labels) > MOST_LABELS:
        found.append(Failure(path, f"has {len(labels)} labels; Google takes {MOST_LABELS}"))
    for key, value in labels.items():
        if not re.fullmatch(LABEL_KEY, key):
            said = "1 to 63 small letters, digits, _ or -, a letter first"
            found.append(Failure(path, f"the key {key!r} must be {said}"))
        if isinstance(value, str) and not re.fullmatch(LABEL_VALUE, value):
            said = f"{value!r} must be at most 63 small letters, digits, _ or -"
            found.append(Failure(f"{path}.{key}", said))
    return found


def public_address(made: Made, what: str) -> str:
    """An address that is nobody's, always the same for this resource."""
    return f"198.19.{made.number(what, 255)}.{1 + made.number(what + '/last', 253)}"


def place_of(inputs: Mapping[str, Any], place: Mapping[str, str]) -> Mapping[str, str]:
    """Project and region of a resource: its own, or those of the provider."""
    own = {n: inputs[n] for n in ("project", "region", "zone") if isinstance(inputs.get(n), str)}
    return {**place, **own, "number": number_of(own.get("project") or place["project"])}
