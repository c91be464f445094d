"""RDS: instances, their subnet and parameter groups, and the snapshots they leave behind.

Limits: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Limits.html, CHAP_Storage.html
"""

import base64
import re
import secrets
from collections.abc import Iterable, Iterator
from typing import Any, Final

from rig.plugins.aws.ec2 import GROUP, SUBNET
from rig.plugins.aws.kms import KEY
from rig.plugins.aws.names import KMS_ARN, KMS_PATTERN, arn, named
from rig.plugins.base import Failure
from rig.plugins.cloud.kinds import Given, Kind, Made, Ref, Refused, digits
from rig.plugins.cloud.rules import (
    among,
    between,
    count,
    exclusive,
    some,
    text,
    when,
    with_other,
)
from rig.plugins.cloud.world import Entry, World, now
from rig.plugins.values import Values

INSTANCE: Final = "aws:rds/instance:Instance"
SUBNETS: Final = "aws:rds/subnetGroup:SubnetGroup"
PARAMETERS: Final = "aws:rds/parameterGroup:ParameterGroup"
SNAPSHOT: Final = "aws:rds/snapshot:Snapshot"
_NAME: Final = r"[A-Za-z](-?[A-Za-z0-9])*"
_LOWER_NAME: Final = r"(?!.{64})[a-z](-?[a-z0-9])*"
_MAJORS: Final = ("13", "14", "15", "16", "17", "18")
"""Of PostgreSQL: https://docs.aws.amazon.com/AmazonRDS/latest/PostgreSQLReleaseNotes/"""
_BURSTABLE: Final = {
    "t3": "micro small medium large xlarge 2xlarge",
    "t4g": "micro small medium large xlarge 2xlarge",
}
_SIZES: Final = r"large|\d{0,2}xlarge"
_FAMILY: Final = r"db\.([a-z]{1,2}\d+[a-z]*)\.([a-z0-9]+)"
_OLD: Final = ("t2", "m3", "m4", "r3", "r4", "m1", "m2", "t1")
_ZONES: Final = 2
_STORAGE: Final = {
    "gp2": (20, 65536),
    "gp3": (20, 65536),
    "io1": (100, 65536),
    "io2": (100, 65536),
    "standard": (5, 3072),
}
_STRIPED: Final = 400
"""GiB from which gp3 has more than its base performance to choose."""
_RESERVED: Final = ("admin", "rdsadmin", "rds_superuser", "rdsrepladmin", "rds_replication")
_LATEST_MINOR: Final = {"13": 22, "14": 19, "15": 14, "16": 10, "17": 6, "18": 1}


def _is_postgres(given: Given) -> bool:
    return given.get("engine") == "postgres"


def _machine(given: Given) -> Iterator[Failure]:
    machine = given.get("instanceClass")
    found = re.fullmatch(_FAMILY, str(machine)) if machine else None
    if machine and not found:
        yield Failure("instanceClass", f"{machine!r} must be such as db.t4g.medium")
    elif found:
        family, size = found.groups()
        sizes = _BURSTABLE.get(family, "").split()
        if (sizes and size not in sizes) or (not sizes and not re.fullmatch(_SIZES, size)):
            known = f": {', '.join(sizes)}" if sizes else ""
            yield Failure("instanceClass", f"db.{family} has no size {size!r}{known}")
        if _is_postgres(given) and family in _OLD:
            yield Failure("instanceClass", f"PostgreSQL does not run on {machine} any more")
        engine = str(given.get("engine", ""))
        if re.search(r"\dg", family) and engine.startswith(("oracle", "sqlserver", "custom")):
            yield Failure("instanceClass", f"{engine} does not run on Graviton: {machine}")


def _version(given: Given) -> Iterator[Failure]:
    version = given.get("engineVersion")
    if version and major(version) not in _MAJORS:
        yield Failure("engineVersion", f"RDS has no PostgreSQL {version}: {', '.join(_MAJORS)}")


def _storage(given: Given) -> Iterator[Failure]:
    kind, size = given.get("storageType", "gp2"), given.get("allocatedStorage")
    if kind not in _STORAGE:
        yield Failure("storageType", f"{kind!r} must be one of {', '.join(_STORAGE)}")
        return
    least, most = _STORAGE[kind]
    if size is not None and not least <= size <= most:
        yield Failure("allocatedStorage", f"{size} GiB of {kind} must be {least} to {most}")
    ceiling = given.get("maxAllocatedStorage")
    if ceiling and size is not None and ceiling < size * 1.1:
        said = f"{ceiling} GiB must be at least 10 % above allocatedStorage {size}"
        yield Failure("maxAllocatedStorage", said)
    for name in ("iops", "storageThroughput"):
        if kind == "gp3" and given.get(name) and size is not None and size < _STRIPED:
            yield Failure(name, f"can be chosen for gp3 from {_STRIPED} GiB on, not for {size}")
        elif kind in ("gp2", "standard") and given.get(name):
            yield Failure(name, f"is for io1, io2 and gp3, not for {kind}")
    if kind in ("io1", "io2") and "iops" not in given:
        yield Failure("iops", f"is required with {kind}")


def _password(given: Given) -> Iterator[Failure]:
    managed = given.get("manageMasterUserPassword")
    own = [name for name in ("password", "passwordWo") if name in given]
    if managed and own:
        yield Failure("manageMasterUserPassword", f"conflicts with {own[0]}")
    restored = "replicateSourceDb", "snapshotIdentifier", "restoreToPointInTime", "s3Import"
    unmanaged = "manageMasterUserPassword" not in given or managed is False
    if unmanaged and not own and not any(name in given for name in restored):
        yield Failure("password", "is required, or manageMasterUserPassword")
    if "masterUserSecretKmsKeyId" in given and "manageMasterUserPassword" not in given:
        yield Failure("masterUserSecretKmsKeyId", "needs manageMasterUserPassword")


def _final(given: Given) -> Iterator[Failure]:
    name = given.get("finalSnapshotIdentifier")
    skipped = "skipFinalSnapshot" in given and given.get("skipFinalSnapshot") is not False
    if not skipped and "finalSnapshotIdentifier" not in given:
        yield Failure("finalSnapshotIdentifier", "is required unless skipFinalSnapshot is true")
    if name and (not re.fullmatch(_NAME, name) or len(name) > 255):  # noqa: PLR2004
        said = "begin with a letter, hold letters, digits and single hyphens, not end with one"
        yield Failure("finalSnapshotIdentifier", f"{name!r} must {said}")


def _insights(given: Given) -> Iterator[Failure]:
    days = given.get("performanceInsightsRetentionPeriod")
    if days and days not in (7, 731) and (days % 31 or not 31 <= days <= 713):  # noqa: PLR2004
        yield Failure(
            "performanceInsightsRetentionPeriod", f"{days} must be 7, 731, or months of 31 days"
        )
    interval = given.get("monitoringInterval")
    if interval and "monitoringRoleArn" not in given:
        yield Failure("monitoringInterval", "needs monitoringRoleArn")


def _surroundings(given: Given, world: World, urn: str) -> Iterator[Failure]:
    """Groups that fit: settings of the same version, firewalls of the same VPC."""
    del urn
    group = world.find(PARAMETERS, given.get("parameterGroupName"))
    version, engine = given.get("engineVersion"), given.get("engine")
    if group and version and engine == "postgres":
        family = group.inputs.get("family")
        if family != f"postgres{major(version)}":
            said = f"{group.id} is of the family {family}, the engine is {engine} {version}"
            yield Failure("parameterGroupName", said)
    subnets = world.find(SUBNETS, given.get("dbSubnetGroupName"))
    if subnets is None:
        return
    vpc = _vpc_of(subnets.inputs.get("subnetIds") or [], world)
    for _, name in given.each("vpcSecurityGroupIds[*]"):
        guard = world.find(GROUP, name)
        if guard and vpc and guard.inputs.get("vpcId") != vpc:
            yield Failure("vpcSecurityGroupIds", f"{name} is in another VPC than {subnets.id}")


def _vpc_of(subnets: Iterable[Any], world: World) -> str | None:
    found = [world.find(SUBNET, one) for one in subnets]
    return next((one.inputs.get("vpcId") for one in found if one), None)


def _two_zones(given: Given, world: World, urn: str) -> Iterator[Failure]:
    del urn
    wanted = [world.find(SUBNET, name) for _, name in given.each("subnetIds[*]")]
    there = [one.inputs for one in wanted if one]
    asked = given.values.get("subnetIds")
    complete = isinstance(asked, list) and len(there) == len(asked)
    zones = {one.get("availabilityZone") for one in there}
    if complete and len(zones) < _ZONES:
        yield Failure(
            "subnetIds", f"lie in {', '.join(map(str, zones))} alone: RDS needs two zones"
        )
    if len({one.get("vpcId") for one in there}) > 1:
        yield Failure("subnetIds", "lie in more than one VPC")


def _updated(old: Given, new: Given) -> Iterator[Failure]:
    before, after = old.get("engineVersion"), new.get("engineVersion")
    allowed = new.get("allowMajorVersionUpgrade")
    if before and after and _order(after) < _order(before):
        yield Failure("engineVersion", f"cannot go back from {before} to {after}")
    elif before and after and _order(before) < _order(after) and not allowed:
        yield Failure("engineVersion", f"{before} to {after} needs allowMajorVersionUpgrade")
    was, size = old.get("allocatedStorage"), new.get("allocatedStorage")
    if was and size and size < was:
        yield Failure("allocatedStorage", f"cannot shrink from {was} to {size} GiB")
    group = new.get("dbSubnetGroupName")
    if group and group != old.get("dbSubnetGroupName", group):
        yield Failure(
            "dbSubnetGroupName", f"{group} is in the same VPC: RDS moves between VPCs only"
        )


def major(version: str) -> str:
    """`17` of `17.4`."""
    return str(version).split(".", maxsplit=1)[0]


def _order(version: str) -> tuple[int, ...]:
    parts = [int(part) for part in re.findall(r"\d+", version)]
    # "17" is the latest of its kind, so "17.2" after it is no way back.
    return tuple(parts[:1])


def _identify(*_: object) -> str:
    return "db-" + base64.b32encode(secrets.token_bytes(17)).decode()[:26]


def _instance(made: Made) -> Values:
    place, name = made.place, made.get("identifier") or f"terraform-{made.hex('name', 26)}"
    hashed = f"c{digits(place['account'], place['region'], 11)}"
    address = f"{name}.{hashed}.{place['region']}.rds.amazonaws.com"
    port = made.get("port") or 5432
    version = made.get("engineVersion") or _MAJORS[-1]
    actual = version if "." in version else f"{version}.{_LATEST_MINOR.get(version, 0)}"
    found: Values = {
        "identifier": name,
        "resourceId": made.id,
        "arn": arn("rds", f"db:{name}")(made),
        "address": address,
        "endpoint": f"{address}:{port}",
        "port": port,
        "engineVersionActual": actual,
        "hostedZoneId": "Z1RLNUO7B9Q6NB",
        "status": "available",
        "availabilityZone": f"{place['region']}a",
        "masterUserSecrets": [],
        "username": made.get("username") or "postgres",
    }
    if made.get("manageMasterUserPassword"):
        secret = f"secret:rds!db-{made.hex('secret', 36)}-{made.hex('mark', 6)}"
        key = made.get("masterUserSecretKmsKeyId") or arn("kms", "alias/aws/secretsmanager")(made)
        found["masterUserSecrets"] = [
            {
                "kmsKeyId": key,
                "secretArn": arn("secretsmanager", secret)(made),
                "secretStatus": "active",
            }
        ]
    return found


def _leaving(made: Made) -> Iterator[Entry]:
    name = made.get("identifier") or made.id
    if made.get("deletionProtection"):
        raise Refused(
            f"DB instance {name}: deletionProtection is on: turn it off in an update first"
        )
    if made.get("skipFinalSnapshot"):
        return
    snapshot = made.get("finalSnapshotIdentifier")
    if not snapshot:
        raise Refused(f"DB instance {name} needs finalSnapshotIdentifier, or skipFinalSnapshot")
    if made.world.taken(SNAPSHOT, snapshot):
        raise Refused(f"DB instance {name}: a final snapshot {snapshot} exists already")
    yield Entry(
        token=SNAPSHOT, id=snapshot, place=made.place, created=now(), inputs={"instance": name}
    )


_REPLACING: Final = frozenset(
    {"availabilityZone", "backupTarget", "characterSetName", "customIamInstanceProfile", "dbName"}
    | {"engine", "identifierPrefix", "kmsKeyId", "ncharCharacterSetName", "region", "timezone"}
    | {"restoreToPointInTime", "s3Import", "snapshotIdentifier", "storageEncrypted", "username"}
)

KINDS: Final = [
    Kind(
        type=INSTANCE,
        called="DB instance",
        identify=_identify,
        name="identifier",
        instead=("identifierPrefix",),
        unique=("identifier",),
        handles=("arn",),
        replaces=_REPLACING,
        kept=frozenset(
            {"availabilityZone", "dbName", "username", "kmsKeyId", "dbSubnetGroupName", "port"}
            | {"parameterGroupName", "vpcSecurityGroupIds", "engineVersion", "storageType"}
            | {"backupWindow", "maintenanceWindow", "caCertIdentifier", "masterUserSecretKmsKeyId"}
        ),
        unordered=frozenset({"vpcSecurityGroupIds", "enabledCloudwatchLogsExports"}),
        rules=[
            text("identifier", _LOWER_NAME, "1 to 63 small letters, digits, single hyphens"),
            exclusive("identifier", "identifierPrefix"),
            some("engine", "replicateSourceDb", "snapshotIdentifier", "restoreToPointInTime"),
            among(
                "engine",
                *("postgres", "mysql", "mariadb", "oracle-se2", "oracle-ee", "sqlserver-se"),
            ),
            _machine,
            when(_is_postgres, text("engineVersion", r"\d+(\.\d+)?", "such as 17 or 17.4")),
            when(_is_postgres, _version),
            when(
                _is_postgres,
                text("dbName", r"[A-Za-z_]\w{0,62}", "a letter, then letters, digits, underscores"),
            ),
            when(
                _is_postgres,
                text(
                    "username",
                    rf"(?!({'|'.join(_RESERVED)})$)[a-z_]\w{{0,62}}",
                    "a letter, then letters, digits, underscores, and no word of RDS' own",
                ),
            ),
            _storage,
            _password,
            _final,
            _insights,
            between("backupRetentionPeriod", 0, 35, "days"),
            between("port", 1150, 65535),
            among("monitoringInterval", 0, 1, 5, 10, 15, 30, 60),
            among("caCertIdentifier", "rds-ca-rsa2048-g1", "rds-ca-rsa4096-g1", "rds-ca-ecc384-g1"),
            text("kmsKeyId", KMS_ARN, "the ARN of a KMS key"),
            with_other("kmsKeyId", "storageEncrypted"),
            when(
                lambda given: bool(given.get("multiAz")), exclusive("multiAz", "availabilityZone")
            ),
            when(
                _is_postgres,
                among(
                    "enabledCloudwatchLogsExports[*]", "postgresql", "upgrade", "iam-db-auth-error"
                ),
            ),
        ],
        refs=[
            Ref("dbSubnetGroupName", SUBNETS),
            Ref("parameterGroupName", PARAMETERS, pattern=r"^((?!default\.).*)"),
            Ref("vpcSecurityGroupIds[*]", GROUP),
            Ref("kmsKeyId", KEY, pattern=KMS_PATTERN),
            Ref("masterUserSecretKmsKeyId", KEY, pattern=KMS_PATTERN),
        ],
        placed=_surroundings,
        updated=_updated,
        outputs=_instance,
        leaving=_leaving,
    ),
    Kind(
        type=SUBNETS,
        called="DB subnet group",
        identify=named("name"),
        name="name",
        instead=("namePrefix",),
        replaces=frozenset({"name", "namePrefix", "region"}),
        kept=frozenset({"description"}),
        unordered=frozenset({"subnetIds"}),
        rules=[
            text(
                "name", r"(?!default$)[a-z0-9_. -]{1,255}", "small letters, digits, . _ - or space"
            ),
            count("subnetIds", 2, 20, "subnets"),
        ],
        refs=[Ref("subnetIds[*]", SUBNET)],
        placed=_two_zones,
        outputs=lambda made: {
            "name": made.id,
            "arn": arn("rds", "subgrp:{id}")(made),
            "description": "Managed by Pulumi",
            "supportedNetworkTypes": ["IPV4"],
            "vpcId": _vpc_of(made.get("subnetIds") or [], made.world) or "",
        },
    ),
    Kind(
        type=PARAMETERS,
        called="DB parameter group",
        identify=named("name"),
        name="name",
        instead=("namePrefix",),
        replaces=frozenset({"family", "name", "namePrefix", "description", "region"}),
        kept=frozenset({"description"}),
        unordered=frozenset({"parameters"}),
        rules=[
            text("name", r"(?!.{256})[a-z](-?[a-z0-9.])*", "small letters, digits, . and -"),
            text(
                "family",
                rf"postgres({'|'.join(_MAJORS)})|(mysql|mariadb|oracle|sqlserver).+",
                f"such as postgres{_MAJORS[-2]}",
            ),
            among("parameters[*].applyMethod", "immediate", "pending-reboot"),
        ],
        outputs=lambda made: {
            "name": made.id,
            "arn": arn("rds", "pg:{id}")(made),
            "description": "Managed by Pulumi",
        },
    ),
]
