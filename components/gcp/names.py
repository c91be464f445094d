"""Names and labels in the alphabets and lengths that Google takes.

Pulumi's provider makes names of up to 255 characters and checks no alphabet: without the checks
here a name too long would stop an ``up`` half-way.
"""

import re
from hashlib import sha256

import pulumi

LIMIT = 63
"""RFC 1035, which nearly every named resource asks for:
https://cloud.google.com/compute/docs/naming-resources"""
LONGEST = 40
"""Of a component's name: leaves room for what its children add, and for eight random characters."""


def fitting(name: str) -> str:
    """A component's name, or an error where Google would refuse the names made of it."""
    if len(name) > LONGEST or not re.fullmatch(r"[a-z][-a-z0-9]*", name):
        raise ValueError(
            f"{name!r} cannot name a component on Google Cloud: at most {LONGEST} lower-case "
            "letters, digits and hyphens, a letter first"
        )
    return name


def known(name: str, limit: int = LIMIT) -> str:
    """A name that people look for: the same in every life of a stack, its own in every stack."""
    asked = f"{pulumi.get_project()}-{pulumi.get_stack()}-{name}"
    made = re.sub(r"[^a-z0-9]+", "-", asked.lower()).strip("-")
    if made == asked and len(made) <= limit:
        return made
    # What is cut or replaced may be all that told two stacks apart.
    mark = sha256(asked.encode()).hexdigest()[:6]
    return f"{made[: limit - 1 - len(mark)].rstrip('-')}-{mark}"


def labels() -> dict[str, str]:
    """For what the provider's default labels cannot reach.

    https://cloud.google.com/resource-manager/docs/labels-overview#requirements
    """
    return {
        "project": label(pulumi.get_project()),
        "stack": label(pulumi.get_stack()),
        "managed-by": "pulumi",
    }


def label(text: str) -> str:
    """A text as a label's value."""
    return re.sub(r"[^a-z0-9_-]", "-", text.lower())[:LIMIT]
