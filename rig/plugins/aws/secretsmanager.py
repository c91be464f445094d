"""Secrets Manager. What a secret holds never reaches the world's files."""

import uuid
from collections.abc import Iterator
from typing import Final

from rig.plugins.aws.names import arn, named
from rig.plugins.aws.policies import policy
from rig.plugins.base import Failure
from rig.plugins.cloud.kinds import Given, Kind, Ref
from rig.plugins.cloud.rules import exclusive, some, text, with_other

SECRET: Final = "aws:secretsmanager/secret:Secret"  # noqa: S105 (a type)
_LEAST, _MOST = 7, 30


def _window(given: Given) -> Iterator[Failure]:
    days = given.get("recoveryWindowInDays")
    if days and not _LEAST <= days <= _MOST:
        yield Failure("recoveryWindowInDays", f"{days} must be 0, or {_LEAST} to {_MOST} days")


KINDS: Final = [
    Kind(
        type=SECRET,
        called="secret",
        identify=lambda values, place: (
            f"arn:aws:secretsmanager:{place['region']}:{place['account']}:secret:"
            f"{named('name')(values, place)}-{uuid.uuid4().hex[:6]}"
        ),
        name="name",
        instead=("namePrefix",),
        unique=("name",),
        replaces=frozenset({"name", "namePrefix", "region"}),
        documents=frozenset({"policy"}),
        rules=[
            text("name", r"[\w/+=.@-]{1,512}", "1 to 512 letters, digits or /_+=.@-"),
            _window,
            policy("policy", principals=True),
        ],
        outputs=lambda made: {"arn": made.id, "name": made.id.rsplit(":", 1)[-1].rsplit("-", 1)[0]},
        rests="Secrets Manager keeps it for the days of its recovery window",
    ),
    Kind(
        type="aws:secretsmanager/secretVersion:SecretVersion",
        called="version of a secret",
        identify=lambda values, _: f"{values['secretId']}|{uuid.uuid4()}",
        handles=(),
        replaces=frozenset({"secretId", "secretString", "secretBinary", "secretStringWoVersion"}),
        rules=[
            some("secretString", "secretBinary", "secretStringWo"),
            exclusive("secretString", "secretBinary", "secretStringWo"),
            with_other("secretStringWo", "secretStringWoVersion"),
        ],
        refs=[Ref("secretId", SECRET, blocks=False)],
        outputs=lambda made: {
            "arn": arn("secretsmanager", "secret")(made),
            "versionId": made.id.rsplit("|", 1)[-1],
        },
    ),
]
