"""Secret Manager. What a secret holds never reaches the world's files.

https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets
"""

from collections.abc import Iterator
from typing import Final

from rig.plugins.base import Failure
from rig.plugins.cloud.kinds import Given, Kind, Made, Ref, Refused, at
from rig.plugins.cloud.rules import exclusive, some, text, with_other
from rig.plugins.cloud.world import Entry
from rig.plugins.gcp.iam import grantee_rules, known_pool

SECRET: Final = "gcp:secretmanager/secret:Secret"  # noqa: S105 (a type)
_LARGEST: Final = 65536


def _replication(given: Given) -> Iterator[Failure]:
    found = given.values.get("replication")
    if isinstance(found, dict) and len([n for n, v in found.items() if v is not None]) != 1:
        yield Failure("replication", "has exactly one of auto, userManaged")


def _size(given: Given) -> Iterator[Failure]:
    for name in ("secretData", "secretDataWo"):
        if len(str(given.get(name, "")).encode()) > _LARGEST:
            yield Failure(name, f"is larger than {_LARGEST} bytes")


def _leaving(made: Made) -> Iterator[Entry]:
    if made.get("deletionProtection"):
        raise Refused(f"secret {made.id}: deletionProtection is on: turn it off in an update first")
    yield from ()


KINDS: Final = [
    Kind(
        type=SECRET,
        called="secret",
        identify=at("projects/{project}/secrets/{secretId}"),
        handles=("name", "secretId"),
        replaces=frozenset({"secretId", "replication", "project", "secretType", "tags"}),
        rules=[
            text("secretId", r"[A-Za-z0-9_-]{1,255}", "1 to 255 letters, digits, _ or -"),
            text("ttl", r"\d+(\.\d+)?s", "seconds, such as 3600s"),
            exclusive("ttl", "expireTime"),
            _replication,
        ],
        outputs=lambda made: {
            "name": made.id.replace(made.place["project"], made.place["number"], 1),
            "createTime": made.created,
            "effectiveAnnotations": made.get("annotations") or {},
            "versionDestroyTtl": "",
        },
        leaving=_leaving,
    ),
    Kind(
        type="gcp:secretmanager/secretVersion:SecretVersion",
        called="version of a secret",
        identify=lambda v, place: (
            f"{v['secret'].replace(place['project'], place['number'], 1)}/versions/{{n}}"
        ),
        replaces=frozenset({"secret", "secretData", "secretDataWoVersion", "isSecretDataBase64"}),
        rules=[
            some("secretData", "secretDataWo"),
            exclusive("secretData", "secretDataWo"),
            with_other("secretDataWo", "secretDataWoVersion"),
            _size,
        ],
        refs=[Ref("secret", SECRET, blocks=False)],
        outputs=lambda made: {
            "name": made.id,
            "version": made.id.rsplit("/", 1)[-1],
            "createTime": made.created,
            "enabled": True,
        },
    ),
    Kind(
        type="gcp:secretmanager/secretIamMember:SecretIamMember",
        called="grant on a secret",
        identify=lambda v, _: f"{v['secretId']}/{v['role']}/{v['member']}",
        handles=(),
        replaces=frozenset({"secretId", "role", "member", "condition", "project"}),
        rules=grantee_rules(),
        refs=[Ref("secretId", SECRET, blocks=False)],
        placed=known_pool,
        overwrites=True,
        outputs=lambda made: {"etag": made.hex("etag", 12)},
    ),
]
