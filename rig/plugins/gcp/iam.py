"""Who may do what: grants, custom roles, service accounts, and pools of foreign identities.

https://cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools.providers
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from rig.plugins.base import Failure
from rig.plugins.cloud.kinds import Given, Kind, Ref, Rule, at
from rig.plugins.cloud.rules import (
    at_most,
    count,
    document,
    exclusive,
    some,
    text,
)
from rig.plugins.cloud.world import World
from rig.plugins.gcp.names import MEMBER, ROLE

POOL: Final = "gcp:iam/workloadIdentityPool:WorkloadIdentityPool"
CUSTOM_ROLE: Final = "gcp:projects/iAMCustomRole:IAMCustomRole"
ACCOUNT: Final = "gcp:serviceaccount/account:Account"
_POOL_ID: Final = r"(?!gcp-)[a-z0-9-]{4,32}"
_POOLS: Final = "projects/{project}/locations/global/workloadIdentityPools/{workloadIdentityPoolId}"
_PRINCIPAL: Final = r"principal(?:Set)?://iam\.googleapis\.com/projects/([^/]+)/"
_IN_POOL: Final = (
    r"locations/global/workloadIdentityPools/([^/]+)/(subject/.+|group/.+|attribute\.[^/]+/.+|\*)"
)
_TARGET: Final = r"google\.(subject|groups)|attribute\.[a-z0-9_]{1,100}"
_LONGEST_MAPPING, _LONGEST_CONDITION = 2048, 4096
_PRIVATE_PARTS: Final = {"d", "p", "q", "dp", "dq", "qi", "k"}


def grantee_rules() -> list[Rule]:
    """Rules of a grant: a role, and a member of it."""
    return [
        text("role", ROLE, "roles/… or projects/…/roles/…"),
        text("member", MEMBER, "user:…, group:…, serviceAccount:…, principal://… or so"),
        _principal,
    ]


def _principal(given: Given) -> Iterator[Failure]:
    member = str(given.get("member", ""))
    found = re.match(_PRINCIPAL, member)
    if not found:
        return
    if not found[1].isdigit():
        yield Failure("member", f"names the project {found[1]}: it must be the project's number")
    elif not re.fullmatch(_IN_POOL, member[found.end() :]):
        yield Failure("member", "must end with subject/…, group/…, attribute.…/… or * of a pool")
    elif member.startswith("principal:") and "/subject/" not in member:
        yield Failure("member", "must be a principalSet unless it is one subject")


def known_pool(given: Given, world: World, urn: str) -> Iterator[Failure]:
    """Whoever is granted something can exist."""
    del urn
    found = re.search(
        r"(projects/\d+/locations/global/workloadIdentityPools/[^/]+)", given.get("member", "")
    )
    if found and world.find(POOL, found[1]) is None:
        yield Failure("member", f"there is no workload identity pool {found[1]}")


def _keys(content: Any) -> Iterator[str]:
    keys = content.get("keys") if isinstance(content, dict) else None
    if not keys or not isinstance(keys, list):
        yield "must hold keys, as `kubectl get --raw /openid/v1/jwks` prints them"
        return
    for index, key in enumerate(keys):
        if not isinstance(key, dict) or "kty" not in key:
            yield f"keys[{index}] is no key"
        elif _PRIVATE_PARTS & set(key):
            yield f"keys[{index}] is a private key"


def _mapping(given: Given) -> Iterator[Failure]:
    found = given.get("attributeMapping")
    for name, value in (found or {}).items():
        if not re.fullmatch(_TARGET, name):
            said = "must be google.subject, google.groups or attribute.<small letters, digits, _>"
            yield Failure("attributeMapping", f"the key {name!r} {said}")
        if isinstance(value, str) and len(value) > _LONGEST_MAPPING:
            said = f"has {len(value)} characters; Google takes {_LONGEST_MAPPING}"
            yield Failure(f"attributeMapping.{name}", said)
    if "oidc" in given and "google.subject" not in (given.values.get("attributeMapping") or {}):
        yield Failure("attributeMapping", "must say what google.subject is")


def _condition(given: Given) -> Iterator[Failure]:
    condition = given.get("attributeCondition")
    if condition and len(condition) > _LONGEST_CONDITION:
        said = f"has {len(condition)} characters; Google takes {_LONGEST_CONDITION}"
        yield Failure("attributeCondition", said)
    known = set(given.get("attributeMapping") or {})
    for name in re.findall(r"\battribute\.[a-z0-9_]+", condition or ""):
        if known and name not in known:
            yield Failure("attributeCondition", f"uses {name}, which attributeMapping does not map")
    if condition and not _closed(condition):
        yield Failure("attributeCondition", "has a bracket or a quote that is not closed")


def _closed(expression: str) -> bool:
    """Whether brackets and quotes of an expression come in pairs."""
    bare = re.sub(r"\"(\\.|[^\"\\])*\"|'(\\.|[^'\\])*'", "", expression)
    depth: list[str] = []
    for one in bare:
        if one in "([{":
            depth.append(one)
        elif one in ")]}" and (not depth or depth.pop() + one not in ("()", "[]", "{}")):
            return False
    return not depth and '"' not in bare and "'" not in bare


def _project_role(given: Given) -> Iterator[Failure]:
    for where, permission in given.each("permissions[*]"):
        if not re.fullmatch(r"[a-z][A-Za-z0-9]*(\.[A-Za-z0-9]+){2,}", permission):
            yield Failure(where, f"{permission!r} must be such as compute.instances.get")


KINDS: Final = [
    Kind(
        type=POOL,
        called="workload identity pool",
        identify=at(_POOLS),
        handles=("name", "workloadIdentityPoolId"),
        replaces=frozenset({"workloadIdentityPoolId", "project", "mode"}),
        rules=[
            text("workloadIdentityPoolId", _POOL_ID, "4 to 32 small letters, digits, -, not gcp-…"),
            at_most("displayName", 32),
            at_most("description", 256),
        ],
        outputs=lambda made: {
            "name": made.id.replace(made.place["project"], made.place["number"], 1),
            "state": "ACTIVE",
        },
        rests="Google keeps a pool's id for 30 days",
    ),
    Kind(
        type="gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider",
        called="workload identity provider",
        identify=at(
            _POOLS,
            "/providers/{workloadIdentityPoolProviderId}",
        ),
        replaces=frozenset({"workloadIdentityPoolId", "workloadIdentityPoolProviderId", "project"}),
        documents=frozenset({"oidc.jwksJson"}),
        unordered=frozenset({"oidc.allowedAudiences"}),
        rules=[
            text("workloadIdentityPoolProviderId", _POOL_ID, "4 to 32 small letters, digits, -"),
            some("oidc", "aws", "saml", "x509"),
            exclusive("oidc", "aws", "saml", "x509"),
            text("oidc.issuerUri", r"https://[A-Za-z0-9.-]+(:\d+)?(/[^?#]*)?", "https://…"),
            document("oidc.jwksJson", _keys),
            count("oidc.allowedAudiences", 1, 10, "audiences"),
            at_most("displayName", 32),
            _mapping,
            _condition,
        ],
        refs=[Ref("workloadIdentityPoolId", POOL, blocks=False)],
        outputs=lambda made: {
            "name": made.id.replace(made.place["project"], made.place["number"], 1),
            "state": "ACTIVE",
        },
        rests="Google keeps a provider's id for 30 days",
    ),
    Kind(
        type=CUSTOM_ROLE,
        called="custom role",
        identify=at("projects/{project}/roles/{roleId}"),
        replaces=frozenset({"roleId", "project"}),
        unordered=frozenset({"permissions"}),
        rules=[
            text("roleId", r"[A-Za-z0-9_.]{3,64}", "3 to 64 letters, digits, _ or . (no hyphens)"),
            count("permissions", 1, 3000, "permissions"),
            at_most("title", 100),
            at_most("description", 300),
            _project_role,
        ],
        # Google keeps a deleted one for weeks: who asks for it again gets it back.
        outputs=lambda made: {"name": made.id, "deleted": False, "stage": "GA"},
    ),
    Kind(
        type="gcp:projects/iAMMember:IAMMember",
        called="grant on the project",
        identify=lambda v, place: (
            f"{v.get('project') or place['project']}/{v['role']}/{v['member']}"
        ),
        handles=(),
        replaces=frozenset({"project", "role", "member", "condition"}),
        rules=grantee_rules(),
        refs=[Ref("role", CUSTOM_ROLE, pattern=r"^(projects/.*)")],
        placed=known_pool,
        overwrites=True,
        outputs=lambda made: {"etag": made.hex("etag", 12)},
    ),
    Kind(
        type=ACCOUNT,
        called="service account",
        identify=lambda v, place: (
            f"projects/{place['project']}/serviceAccounts/"
            f"{v['accountId']}@{place['project']}.iam.gserviceaccount.com"
        ),
        handles=("email", "name", "member"),
        replaces=frozenset({"accountId", "project"}),
        rules=[
            text(
                "accountId",
                r"[a-z]([-a-z0-9]{4,28}[a-z0-9])",
                "6 to 30 small letters, digits and hyphens, a letter first",
            ),
            at_most("displayName", 100),
            at_most("description", 256),
        ],
        outputs=lambda made: {
            "email": made.id.rsplit("/", 1)[-1],
            "name": made.id,
            "member": f"serviceAccount:{made.id.rsplit('/', 1)[-1]}",
            "uniqueId": str(10**20 + made.number("unique", 10**20)),
        },
    ),
]
