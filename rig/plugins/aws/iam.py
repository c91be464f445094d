"""IAM: roles, their policies, and identity providers.

Limits: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from rig.plugins.aws.names import ARN, arn, named
from rig.plugins.aws.policies import policy, texts
from rig.plugins.aws.s3 import BUCKET, OBJECT
from rig.plugins.base import Failure
from rig.plugins.cloud.kinds import Given, Kind, Made, Ref
from rig.plugins.cloud.rules import at_most, between, count, exclusive, text
from rig.plugins.cloud.world import World
from rig.plugins.values import Values

ROLE: Final = "aws:iam/role:Role"
PROVIDER: Final = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
POLICY: Final = "aws:iam/policy:Policy"
PROFILE: Final = "aws:iam/instanceProfile:InstanceProfile"
_LONGEST_TRUST: Final = 2048
_LONGEST_INLINE: Final = 10240
_LONGEST_MANAGED: Final = 6144
_WEB: Final = "sts:AssumeRoleWithWebIdentity"
_DISCOVERY: Final = ".well-known/openid-configuration"
_WORDS: Final = r"[\w+=,.@-]"


def _trusting(statements: list[dict[str, Any]]) -> Iterator[str]:
    for index, statement in enumerate(statements):
        if "Resource" in statement:
            yield f"Statement[{index}]: takes no Resource: it is the role itself"
        actions = texts(statement.get("Action"))
        if not all(action.startswith("sts:") for action in actions):
            yield f"Statement[{index}]: takes actions of sts: only"
        for provider in _federated(statement):
            if _WEB not in actions:
                yield f"Statement[{index}]: a Federated principal needs the action {_WEB}"
            host = provider.split("oidc-provider/", 1)[-1]
            for keys in (statement.get("Condition") or {}).values():
                for key in keys if isinstance(keys, dict) else ():
                    issuer = key.rsplit(":", 1)[0]
                    if key.endswith((":aud", ":sub")) and issuer != host:
                        yield f"Statement[{index}]: {key!r} is of another issuer than {host}"
            if not any(":sub" in key for key in _condition_keys(statement)):
                yield f"Statement[{index}]: trusts every account of {host}: it needs {host}:sub"


def _condition_keys(statement: dict[str, Any]) -> Iterator[str]:
    for keys in (statement.get("Condition") or {}).values():
        yield from keys if isinstance(keys, dict) else ()


def _federated(statement: dict[str, Any]) -> list[str]:
    principal = statement.get("Principal")
    return texts(principal.get("Federated")) if isinstance(principal, dict) else []


def _believed(given: Given, world: World, urn: str) -> Iterator[Failure]:
    """Whom a role trusts must be there."""
    del urn
    try:
        statements = json.loads(given.get("assumeRolePolicy") or "{}").get("Statement") or []
    except ValueError:
        return
    for statement in [statements] if isinstance(statements, dict) else statements:
        for provider in _federated(statement):
            if "oidc-provider/" in provider and world.find(PROVIDER, provider) is None:
                yield Failure("assumeRolePolicy", f"there is no identity provider {provider}")


def _published(given: Given, world: World, urn: str) -> Iterator[Failure]:
    """AWS asks an issuer for its keys at once: what it would find in a bucket is known here."""
    del urn
    found = re.fullmatch(
        r"https://([a-z0-9-]+)\.s3\.[a-z0-9-]+\.amazonaws\.com", given.get("url", "")
    )
    bucket = world.find(BUCKET, found[1]) if found else None
    if not found or bucket is None or bucket.id != found[1]:
        return  # somebody else's, or one of which a preview cannot know what will be in it
    if world.find(OBJECT, f"{found[1]}/{_DISCOVERY}") is None:
        yield Failure(
            "url", f"AWS finds no {_DISCOVERY} in the bucket {found[1]}: publish it first"
        )


def _issuer(given: Given) -> Iterator[Failure]:
    url = given.get("url")
    if url is None:
        return
    if not re.fullmatch(r"https://[A-Za-z0-9.-]+(/[^?#]*)?", url):
        yield Failure("url", f"{url!r} must be https://…, with no port, query or fragment")
    elif url.endswith("/"):
        yield Failure("url", f"{url!r} must not end with a slash")


def _role(made: Made) -> Values:
    path = made.get("path") or "/"
    return {
        "name": made.id,
        "arn": arn("iam", f"role{path}{{id}}", regional=False)(made),
        "createDate": made.created,
        "uniqueId": f"AROA{made.hex('unique', 17).upper()}",
        "maxSessionDuration": 3600,
        "path": "/",
    }


def _policy_name(values: Values, place: Any) -> str:
    return f"{values['role']}:{named('name')(values, place)}"


KINDS: Final = [
    Kind(
        type=ROLE,
        called="role",
        identify=named("name"),
        name="name",
        instead=("namePrefix",),
        replaces=frozenset({"name", "namePrefix", "path"}),
        documents=frozenset({"assumeRolePolicy"}),
        unordered=frozenset({"managedPolicyArns"}),
        rules=[
            text("name", rf"{_WORDS}{{1,64}}", "1 to 64 letters, digits or _+=,.@-"),
            text("namePrefix", rf"{_WORDS}{{1,38}}", "1 to 38 letters, digits or _+=,.@-"),
            exclusive("name", "namePrefix"),
            text("path", r"/|/[!-~]{1,510}/", "begin and end with a slash"),
            between("maxSessionDuration", 3600, 43200, "seconds"),
            at_most("description", 1000),
            policy("assumeRolePolicy", principals=True, longest=_LONGEST_TRUST, more=_trusting),
        ],
        placed=_believed,
        outputs=_role,
    ),
    Kind(
        type="aws:iam/rolePolicy:RolePolicy",
        called="role policy",
        overwrites=True,
        identify=_policy_name,
        name="name",
        instead=("namePrefix",),
        handles=(),
        replaces=frozenset({"name", "namePrefix", "role"}),
        documents=frozenset({"policy"}),
        rules=[
            text("name", rf"{_WORDS}{{1,128}}", "1 to 128 letters, digits or _+=,.@-"),
            policy("policy", principals=False, longest=_LONGEST_INLINE),
        ],
        refs=[Ref("role", ROLE)],
        outputs=lambda made: {"name": made.id.split(":", 1)[1]},
    ),
    Kind(
        type=POLICY,
        called="policy",
        identify=lambda values, place: (
            f"arn:aws:iam::{place['account']}:policy{values.get('path') or '/'}"
            + named("name")(values, place)
        ),
        name="name",
        instead=("namePrefix",),
        replaces=frozenset({"name", "namePrefix", "path", "description"}),
        documents=frozenset({"policy"}),
        rules=[
            text("name", rf"{_WORDS}{{1,128}}", "1 to 128 letters, digits or _+=,.@-"),
            policy("policy", principals=False, longest=_LONGEST_MANAGED),
        ],
        outputs=lambda made: {"arn": made.id, "name": made.id.rsplit("/", 1)[-1]},
    ),
    Kind(
        type="aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        called="policy attachment",
        identify=lambda values, _: f"{values['role']}/{values['policyArn']}",
        replaces=frozenset({"role", "policyArn"}),
        rules=[text("policyArn", ARN, "the ARN of a policy")],
        refs=[Ref("role", ROLE), Ref("policyArn", POLICY, pattern=r"^(arn:[^:]+:iam::\d{12}:.*)")],
    ),
    Kind(
        type=PROFILE,
        called="instance profile",
        identify=named("name"),
        name="name",
        instead=("namePrefix",),
        replaces=frozenset({"name", "namePrefix", "path"}),
        rules=[text("name", rf"{_WORDS}{{1,128}}", "1 to 128 letters, digits or _+=,.@-")],
        refs=[Ref("role", ROLE)],
        outputs=lambda made: {
            "name": made.id,
            "arn": arn("iam", "instance-profile/{id}", regional=False)(made),
            "createDate": made.created,
            "uniqueId": f"AIPA{made.hex('unique', 17).upper()}",
        },
    ),
    Kind(
        type=PROVIDER,
        called="identity provider",
        identify=lambda values, place: (
            f"arn:aws:iam::{place['account']}:oidc-provider/{values['url'].removeprefix('https://')}"
        ),
        replaces=frozenset({"url"}),
        unordered=frozenset({"clientIdLists", "thumbprintLists"}),
        rules=[
            _issuer,
            at_most("url", 255),
            count("clientIdLists", 1, 100, "audiences"),
            at_most("clientIdLists[*]", 255),
            text("thumbprintLists[*]", r"[0-9a-f]{40}", "forty hexadecimal digits"),
        ],
        placed=_published,
        outputs=lambda made: {"arn": made.id, "thumbprintLists": []},
    ),
]
