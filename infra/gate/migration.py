"""What people do by hand when a plan leaves a cloud: the steps in order, with their commands.

Pulumi makes the new cloud's database and bucket and deletes the old ones; it carries nothing over.
The engine's own ``--target`` and ``--exclude`` let both clouds stand side by side meanwhile.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from infra.gate.markdown import block
from infra.gate.plan import Plan, Resource, type_of
from infra.gate.precious import PRECIOUS
from infra.gate.terms import Terms
from infra.gate.values import get

KINDS: Final[Mapping[str, str]] = {
    "aws:rds/instance:Instance": "database",
    "gcp:sql/databaseInstance:DatabaseInstance": "database",
    "aws:s3/bucket:Bucket": "bucket",
    "gcp:storage/bucket:Bucket": "bucket",
    "aws:ecr/repository:Repository": "images",
    "gcp:artifactregistry/repository:Repository": "images",
    "aws:ec2/vpnConnection:VpnConnection": "network",
    "gcp:compute/vPNTunnel:VPNTunnel": "network",
}
NAMES: Final = {"aws": "AWS", "gcp": "Google Cloud", "none": "no cloud"}


@dataclass(frozen=True)
class Step:
    """One thing to do."""

    title: str
    commands: Sequence[str]


def left_cloud(plan: Plan, terms: Terms) -> str | None:
    """The cloud whose precious things go although the settings no longer choose it."""
    for resource in plan.resources:
        cloud = resource.type.partition(":")[0]
        if resource.gone and resource.type in PRECIOUS and cloud in {"aws", "gcp"} - {terms.cloud}:
            return cloud
    return None


def section(plan: Plan, terms: Terms) -> str:
    """The whole section; empty when no cloud is left."""
    old = left_cloud(plan, terms)
    if old is None:
        return ""
    lines = [
        f"### To migrate by hand: {NAMES[old]} → {NAMES.get(terms.cloud, terms.cloud)}",
        "",
        "Pulumi carries no data over. Do this in order, **before** the plan above; "
        "names in capitals are yours to fill in. Nothing old is deleted until the last step.",
    ]
    for number, step in enumerate(_steps(plan, terms, old), start=1):
        lines += ["", f"{number}. {step.title}", "", block(step.commands, "sh")]
    return "\n".join(lines)


def _steps(plan: Plan, terms: Terms, old: str) -> Iterator[Step]:
    new, stack = terms.cloud, shlex.quote(plan.stack)
    gone = [r for r in plan.resources if r.gone and r.type.startswith(f"{old}:")]
    kinds = {KINDS.get(r.type) for r in gone}
    everything = f"urn:pulumi:{plan.stack}::spillway::spillway:{{}}:**"
    if new in ("aws", "gcp"):
        yield Step(
            f"Make {NAMES[new]}'s part beside the old one.",
            [f"pulumi up --stack {stack} --target {shlex.quote(everything.format(new))}"],
        )
        if "network" in kinds:
            yield Step(
                "Give the VPN device on-prem its new peers: addresses, pre-shared keys, and BGP.",
                _peer_commands(new, stack),
            )
    if "images" in kinds:
        yield Step("Push the images to the new registry.", _image_commands(gone, old, new))
    yield Step("Stop what writes: MLflow is read by nobody from here on.", _stop(terms))
    if "database" in kinds:
        yield Step("Move the databases, through a pod that reaches both.", _dump(gone, old, new))
    if "bucket" in kinds:
        yield Step(
            "Copy the objects; the second run brings what came in meanwhile.",
            _copy(_stores(plan, gone), old, new),
        )
    yield Step(
        "Let the platform use the new ones, the old ones still in place, and look at it.",
        [f"pulumi up --stack {stack} --exclude {shlex.quote(everything.format(old))}"],
    )
    yield Step(
        "Days later, when nobody misses anything: name the old resources under `spillway:allow`, "
        f"and put `spillway:cloud: {old}` back into the file for this one command. It takes their "
        "locks off, Pulumi's and the cloud's, and touches nothing else.",
        [f"pulumi up --stack {stack} --target {shlex.quote(everything.format(old))}"],
    )
    yield Step(
        f"With `spillway:cloud: {new}` again, delete what is old. A bucket with objects in it is "
        "refused by its cloud: empty it with all versions first, or keep it as an archive and take "
        "it out of the state (`pulumi state delete URN`).",
        [f"make preview STACK={stack}", f"make up STACK={stack}"],
    )


def _peer_commands(new: str, stack: str) -> list[str]:
    show = (
        "aws secretsmanager get-secret-value --secret-id TUNNEL_SECRET --query SecretString"
        if new == "aws"
        else "gcloud secrets versions access latest --secret=TUNNEL_SECRET"
    )
    return [
        f"pulumi stack output --stack {stack}   # addresses of the tunnels, name of their secret",
        f"{show}   # only on the screen of whoever configures the device",
    ]


def _image_commands(gone: Sequence[Resource], old: str, new: str) -> list[str]:
    names = [n for r in gone if KINDS.get(r.type) == "images" if (n := _name(r))]
    login = {
        "aws": "aws ecr get-login-password | skopeo login --username AWS --password-stdin {}",
        "gcp": "gcloud auth print-access-token"
        " | skopeo login --username oauth2accesstoken --password-stdin {}",
    }
    logins = [
        login[cloud].format(host)
        for cloud, host in ((old, "OLD_REGISTRY"), (new, "NEW_REGISTRY"))
        if cloud in login
    ]
    return [
        *logins,
        *(
            f"skopeo sync --all --src docker --dest docker OLD_REGISTRY/{shlex.quote(name)} "
            "NEW_REGISTRY"
            for name in names or ["IMAGE"]
        ),
    ]


def _stop(terms: Terms) -> list[str]:
    return [
        f"kubectl --namespace {shlex.quote(terms.namespace)} scale deployment "
        "--selector app.kubernetes.io/name=mlflow --replicas 0",
    ]


def _dump(gone: Sequence[Resource], old: str, new: str) -> list[str]:
    names = [
        str(found)
        for r in gone
        for path in ("dbName", "name")
        if r.type in ("aws:rds/instance:Instance", "gcp:sql/database:Database")
        and (found := get(r.before, path))
    ]
    # Not the platform's namespace: its policies let nobody reach both databases.
    kubectl = "kubectl --namespace migrate"
    # The password goes through the pipe: neither a process list nor the pod's spec shows it.
    ask = "read -r PGPASSWORD; export PGPASSWORD PGSSLMODE=require;"
    lines = [
        "kubectl create namespace migrate",
        f"{kubectl} run postgres --image=POSTGRES_IMAGE --command -- sleep infinity",
    ]
    for name in names or ["DATABASE"]:
        file, base = shlex.quote(f"/tmp/{name}.dump"), shlex.quote(name)  # noqa: S108 - in a pod
        dump = f"{ask} pg_dump --host=OLD_HOST --username=OLD_USER --format=custom --no-owner"
        load = f"{ask} pg_restore --host=NEW_HOST --username=NEW_USER --no-owner --exit-on-error"
        lines += [
            f"{_password(old, 'OLD')} | {kubectl} exec --stdin postgres -- "
            f"sh -c {shlex.quote(f'{dump} --file={file} {base}')}",
            f"{_password(new, 'NEW')} | {kubectl} exec --stdin postgres -- "
            f"sh -c {shlex.quote(f'{load} --single-transaction --dbname={base} {file}')}",
        ]
    return [*lines, "kubectl delete namespace migrate"]


_PASSWORDS: Final[Mapping[str, str]] = {
    "aws": "aws secretsmanager get-secret-value --secret-id {}_SECRET --query SecretString "
    "--output text | jq --raw-output .password",
    # Made by Pulumi, and kept in its state alone.
    "gcp": "pulumi stack export --show-secrets | jq --raw-output "
    '\'.deployment.resources[] | select(.urn | test("spillway:gcp:Database.*-password$"))'
    " | .outputs.result.plaintext | fromjson'",
    "none": "printf '%s\\n' \"${}_PASSWORD\"",
}
"""How to print the password of a cloud's database."""


def _password(cloud: str, which: str) -> str:
    """By replace, because jq has braces of its own."""
    return _PASSWORDS.get(cloud, _PASSWORDS["none"]).replace("{}", which)


def _stores(plan: Plan, gone: Sequence[Resource]) -> list[str]:
    """Names of the buckets that hold data, not those a component needs for itself."""
    buckets = [r for r in gone if KINDS.get(r.type) == "bucket"]
    stores = [r for r in buckets if type_of(plan.component(r)).endswith(":ObjectStore")]
    return [name for r in stores or buckets if (name := _name(r))]


def _copy(buckets: Sequence[str], old: str, new: str) -> list[str]:
    lines: list[str] = []
    for bucket in buckets or ["OLD_BUCKET"]:
        name = shlex.quote(bucket)
        if (old, new) == ("aws", "gcp"):
            lines.append(f"gcloud storage rsync --recursive s3://{name} gs://NEW_BUCKET")
        elif (old, new) == ("gcp", "aws"):
            lines.append(f"rclone sync --checksum gcs:{name} s3:NEW_BUCKET")
        elif old == new == "aws":
            lines.append(f"aws s3 sync s3://{name} s3://NEW_BUCKET")
        else:
            remote = "s3" if old == "aws" else "gcs"
            lines.append(f"rclone sync --checksum {remote}:{name} onprem:NEW_BUCKET")
    return [*lines, *lines]


def _name(resource: Resource) -> str:
    """What it is called in its cloud; the program's name for it says nothing there."""
    found: list[Any] = [
        get(values, key)
        for values in (resource.old.outputs if resource.old else {}, resource.before)
        for key in ("bucket", "repositoryId", "name")
    ]
    return next((str(v) for v in found if v), "")
