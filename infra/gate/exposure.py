"""What a plan opens to people outside: the whole internet (refused), or the company (told)."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from infra.gate.plan import Change, Plan, Resource
from infra.gate.values import get, opaque

ANYWHERE: Final = frozenset({"0.0.0.0/0", "::/0"})
EVERYBODY: Final = frozenset({"allUsers", "allAuthenticatedUsers"})
Inputs = Mapping[str, Any]


@dataclass(frozen=True)
class Opening:
    """A way in."""

    what: str
    """Our words, safe to show."""
    refused: bool = True
    """Whether the internet comes in; else the report only tells."""


@dataclass(frozen=True)
class Exposure:
    """An opening that the plan makes and that was not there before."""

    resource: Resource
    opening: Opening


@dataclass(frozen=True)
class Unjudged:
    """A property that could open something, but is known after the change only."""

    resource: Resource
    path: str


def exposures(plan: Plan) -> Iterator[Exposure]:
    """What becomes reachable that was not."""
    for resource in plan.resources:
        if resource.change in (Change.SAME, Change.READ, Change.DELETE):
            continue
        before = set(openings(resource.type, resource.before)) if resource.old else set[Opening]()
        for opening in openings(resource.type, resource.after):
            if opening not in before:
                yield Exposure(resource, opening)


def unjudged(plan: Plan) -> Iterator[Unjudged]:
    """What could open something, but cannot be looked at yet."""
    for resource in plan.resources:
        if resource.change in (Change.SAME, Change.READ, Change.DELETE):
            continue
        for path in DECISIVE:
            value = resource.after.get(path)
            if value is not None and (opaque(value) or _holds_unknown(value)):
                yield Unjudged(resource, path)


def openings(type_: str, inputs: Inputs) -> list[Opening]:
    """All ways in that these inputs of a resource open."""
    found: list[Opening] = []
    for ending, test in _TESTS.items():
        if type_ == ending or (ending.startswith("*") and type_.endswith(ending[1:])):
            found += test(inputs)
    if type_.startswith("aws:"):
        found += [o for name in _POLICIES for o in _policy(inputs.get(name), name)]
    if type_.startswith("gcp:"):
        members = [inputs.get("member"), *_list(inputs.get("members"))]
        found += [Opening(f"granted to {m}") for m in members if _text(m) in EVERYBODY]
    return found


_POLICIES: Final = ("policy", "assumeRolePolicy")
DECISIVE: Final = (*_POLICIES, "member", "members", "cidrBlocks", "sourceRanges")


def _policy(document: Any, name: str) -> Iterator[Opening]:
    for statement in _statements(document):
        whoever = _anybody(statement.get("Principal")) or "NotPrincipal" in statement
        if statement.get("Effect") != "Allow" or not whoever:
            continue
        resources, actions = (_list(statement.get(k)) for k in ("Resource", "Action"))
        if actions == ["s3:GetObject"] and resources and not any(map(_pattern, resources)):
            objects = ", ".join(sorted(str(r).partition(":::")[2] for r in resources))
            yield Opening(f"anybody may read exactly: {objects}", refused=False)
        elif _confined(statement.get("Condition")):
            yield Opening(f"{name} lets anybody in who meets a condition", refused=False)
        else:
            yield Opening(f"{name} lets anybody in")


_CONFINING: Final = frozenset(
    {
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:principalorgid",
        "aws:principalaccount",
        "kms:calleraccount",
    }
)
"""Conditions of which one keeps the internet out; any other may be met by anybody."""


def _confined(condition: Any) -> bool:
    tests = cast("dict[str, Any]", condition) if isinstance(condition, dict) else {}
    return any(
        key.lower() in _CONFINING
        for operator, keys in tests.items()
        if isinstance(keys, dict) and "Not" not in operator and "IfExists" not in operator
        for key, value in cast("dict[str, Any]", keys).items()
        if "*" not in _list(value)
    )


def _statements(document: Any) -> Iterable[dict[str, Any]]:
    """Of a policy, which is a JSON text where a provider does not take it as a map."""
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except ValueError:
            return []
    if not isinstance(document, dict):
        return []
    return _maps(cast("dict[str, Any]", document).get("Statement"))


def _anybody(principal: Any) -> bool:
    values = (
        [v for inner in cast("dict[str, Any]", principal).values() for v in _list(inner)]
        if isinstance(principal, dict)
        else _list(principal)
    )
    return "*" in values


def _pattern(resource: Any) -> bool:
    """Whether it names more than one object."""
    return any(c in str(resource) for c in "*?") or "/" not in str(resource)


def _flag(path: str, what: str, *, refused: bool = True) -> Callable[[Inputs], list[Opening]]:
    return lambda inputs: [Opening(what, refused)] if get(inputs, path) is True else []


def _access_block(inputs: Inputs) -> list[Opening]:
    names = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    off = [name for name in names if inputs.get(name) is not True and not opaque(inputs.get(name))]
    return [Opening(f"{name} is off: a policy can make the bucket public", False) for name in off]


def _acl(inputs: Inputs) -> list[Opening]:
    acl = _text(inputs.get("acl"))
    return [Opening(f"its ACL is {acl}")] if acl in _PUBLIC_ACLS else []


_PUBLIC_ACLS: Final = frozenset({"public-read", "public-read-write", "authenticated-read"})


def _ingress(inputs: Inputs) -> list[Opening]:
    return [o for rule in _maps(inputs.get("ingress")) for o in _rule(rule)]


def _rule(rule: Inputs) -> list[Opening]:
    if rule.get("type") == "egress":
        return []
    ranges = [
        r
        for key in ("cidrBlocks", "ipv6CidrBlocks", "cidrIpv4", "cidrIpv6")
        for r in _list(rule.get(key))
    ]
    return [Opening(f"anybody may connect ({r})") for r in ranges if _text(r) in ANYWHERE]


def _firewall(inputs: Inputs) -> list[Opening]:
    if inputs.get("direction") == "EGRESS" or not inputs.get("allows"):
        return []
    ranges = {_text(r) for r in _list(inputs.get("sourceRanges"))}
    return [Opening(f"anybody may connect ({r})") for r in sorted(ranges & ANYWHERE)]


def _bucket_google(inputs: Inputs) -> list[Opening]:
    mode = inputs.get("publicAccessPrevention")
    if mode == "enforced" or opaque(mode):
        return []
    return [Opening("public access is not prevented: a grant can make it public", False)]


def _service(inputs: Inputs) -> list[Opening]:
    kind = get(inputs, "spec.type")
    if kind not in ("LoadBalancer", "NodePort"):
        return []
    return [Opening(f"a Service of type {kind}: reachable from outside the cluster", False)]


def _network_policy(inputs: Inputs) -> list[Opening]:
    found: list[Opening] = []
    for rule in _maps(get(inputs, "spec.ingress")):
        peers = _maps(rule.get("from"))
        if not peers:
            found.append(Opening("lets every address in", False))
        blocks = [(get(p, "ipBlock.cidr"), get(p, "ipBlock.except")) for p in peers]
        for cidr, spared in blocks:
            if cidr in ANYWHERE:
                but = " but those it excepts" if spared else ""
                found.append(Opening(f"lets every address in ({cidr}){but}", False))
    return found


def _balancer(inputs: Inputs) -> list[Opening]:
    return [] if inputs.get("internal") is True else [Opening("a load balancer on the internet")]


_TESTS: Final[Mapping[str, Callable[[Inputs], list[Opening]]]] = {
    "aws:rds/instance:Instance": _flag("publiclyAccessible", "the database has a public address"),
    "aws:rds/clusterInstance:ClusterInstance": _flag(
        "publiclyAccessible", "the database has a public address"
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _access_block,
    "aws:s3/bucketAcl:BucketAcl": _acl,
    "aws:s3/bucket:Bucket": _acl,
    "aws:ec2/securityGroup:SecurityGroup": _ingress,
    "aws:ec2/securityGroupRule:SecurityGroupRule": _rule,
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _rule,
    "aws:ec2/subnet:Subnet": _flag("mapPublicIpOnLaunch", "machines in it get public addresses"),
    "aws:lb/loadBalancer:LoadBalancer": _balancer,
    "gcp:compute/firewall:Firewall": _firewall,
    "gcp:sql/databaseInstance:DatabaseInstance": _flag(
        "settings.ipConfiguration.ipv4Enabled", "the database has a public address"
    ),
    "gcp:storage/bucket:Bucket": _bucket_google,
    "kubernetes:core/v1:Service": _service,
    "kubernetes:networking.k8s.io/v1:NetworkPolicy": _network_policy,
}


def _holds_unknown(value: Any) -> bool:
    return isinstance(value, list) and any(opaque(v) for v in cast("list[Any]", value))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return cast("list[Any]", value) if isinstance(value, list) else [value]


def _maps(value: Any) -> Iterable[dict[str, Any]]:
    return [cast("dict[str, Any]", v) for v in _list(value) if isinstance(v, dict)]
