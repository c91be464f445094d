"""Cloud SQL: instances, their databases and users.

https://cloud.google.com/sql/docs/postgres/instance-settings and …/quotas
"""

import re
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Any, Final

from rig.plugins.base import Failure
from rig.plugins.cloud.kinds import Given, Kind, Made, Ref, Refused
from rig.plugins.cloud.rules import among, at_most, between, cidr, exclusive, text, with_other
from rig.plugins.cloud.world import Entry
from rig.plugins.gcp.names import label_failures
from rig.plugins.gcp.network import PEERING, RANGE, reserved
from rig.plugins.values import Values

INSTANCE: Final = "gcp:sql/databaseInstance:DatabaseInstance"
_NAME: Final = r"[a-z]([-a-z0-9]{0,96}[a-z0-9])?"
_LONGEST: Final = 98
"""Of `project:instance`."""
_VERSIONS: Final = tuple(f"POSTGRES_{one}" for one in ("12", "13", "14", "15", "16", "17", "18"))
_PLUS_FROM: Final = 16
_SHARED: Final = ("db-f1-micro", "db-g1-small")
_MOST_CPUS, _STEP = 96, 256
_LEAST_MIB: Final = 3840
_SETTINGS: Final = "settings"
_BACKUP: Final = "settings.backupConfiguration"
_IP: Final = "settings.ipConfiguration"


def _version_number(given: Given) -> int | None:
    found = re.fullmatch(r"POSTGRES_(\d+)", str(given.get("databaseVersion", "")))
    return int(found[1]) if found else None


def _tier(given: Given) -> Iterator[Failure]:
    tier, edition = given.get("settings.tier"), given.get("settings.edition")
    if tier is None:
        return
    where, version = "settings.tier", _version_number(given)
    if edition is None and "edition" not in (given.values.get(_SETTINGS) or {}):
        edition = "ENTERPRISE_PLUS" if version and version >= _PLUS_FROM else "ENTERPRISE"
        if edition == "ENTERPRISE_PLUS" and not tier.startswith("db-perf"):
            said = f"{tier} needs edition ENTERPRISE, which is not the default of version {version}"
            yield Failure(where, said)
            return
    if edition == "ENTERPRISE_PLUS":
        if not re.fullmatch(r"db-(perf-optimized-N|c4a-highmem)-\d+", tier):
            yield Failure(where, f"{tier!r} must be such as db-perf-optimized-N-2 in this edition")
        return
    found = re.fullmatch(r"db-custom-(\d+)-(\d+)", tier)
    if tier in _SHARED:
        return
    if not found:
        yield Failure(where, f"{tier!r} must be db-custom-<CPUs>-<MiB>, db-g1-small or db-f1-micro")
        return
    cpus, memory = int(found[1]), int(found[2])
    if cpus > _MOST_CPUS or (cpus != 1 and cpus % 2) or not cpus:
        yield Failure(where, f"{tier}: CPUs must be 1 or even, up to {_MOST_CPUS}")
    elif memory % _STEP:
        yield Failure(where, f"{tier}: memory must be a multiple of {_STEP} MiB")
    elif memory < _LEAST_MIB:
        yield Failure(where, f"{tier}: memory must be at least {_LEAST_MIB} MiB")
    elif not 0.9 * 1024 <= memory / cpus <= 6.5 * 1024:
        yield Failure(where, f"{tier}: memory must be 0.9 to 6.5 GiB for each CPU")


def _backups(given: Given) -> Iterator[Failure]:
    enabled, restore = (
        given.get(f"{_BACKUP}.enabled"),
        given.get(f"{_BACKUP}.pointInTimeRecoveryEnabled"),
    )
    known = isinstance(given.values.get(_SETTINGS), dict)
    if restore and not enabled:
        yield Failure(f"{_BACKUP}.pointInTimeRecoveryEnabled", "needs backups to be enabled")
    if given.get("settings.availabilityType") == "REGIONAL" and known and not (enabled and restore):
        said = "REGIONAL needs backups and point-in-time recovery"
        yield Failure("settings.availabilityType", said)
    days = given.get(f"{_BACKUP}.transactionLogRetentionDays")
    most = 35 if given.get("settings.edition") == "ENTERPRISE_PLUS" else 7
    if days is not None and not 1 <= days <= most:
        yield Failure(f"{_BACKUP}.transactionLogRetentionDays", f"{days} must be 1 to {most} days")
    kept = given.get(f"{_BACKUP}.backupRetentionSettings.retainedBackups")
    if kept is not None and days is not None and days > kept:
        said = f"{days} days of log need as many backups, not {kept}"
        yield Failure(f"{_BACKUP}.transactionLogRetentionDays", said)


def _address(given: Given) -> Iterator[Failure]:
    if given.get(f"{_IP}.ipv4Enabled") is False:
        found = (given.values.get(_SETTINGS) or {}).get("ipConfiguration") or {}
        if found.get("privateNetwork") is None and not found.get("pscConfigs"):
            yield Failure(f"{_IP}.privateNetwork", "is required without a public address")


def _length(given: Given) -> Iterator[Failure]:
    name = given.get("name")
    if name and len(f"{given.place['project']}:{name}") > _LONGEST:
        yield Failure("name", f"project and name have more than {_LONGEST} characters together")


def _labels(given: Given) -> Iterator[Failure]:
    yield from label_failures("settings.userLabels", given.get("settings.userLabels"))


def _updated(old: Given, new: Given) -> Iterator[Failure]:
    before, after = _version_number(old), _version_number(new)
    if before and after and after < before:
        yield Failure("databaseVersion", f"cannot go back from POSTGRES_{before} to {after}")
    network = f"{_IP}.privateNetwork"
    was, now = old.get(network), new.get(network)
    if was and now and was != now:
        yield Failure(network, "cannot be moved to another network")


def _shrinks(old: Any, new: Any) -> bool:
    return bool(old and new and new < old)


def _instance(made: Made) -> Values:
    place = made.place
    private = _private_address(made)
    found = [{"ipAddress": private, "timeToRetire": "", "type": "PRIVATE"}] if private else []
    public = ""
    if made.get(f"{_IP}.ipv4Enabled", True):
        public = f"198.19.250.{1 + made.number('public', 253)}"
        found = [{"ipAddress": public, "timeToRetire": "", "type": "PRIMARY"}, *found]
    mark = made.hex("service", 6)
    return {
        "connectionName": f"{place['project']}:{place['region']}:{made.id}",
        "privateIpAddress": private,
        "publicIpAddress": public,
        "firstIpAddress": found[0]["ipAddress"] if found else "",
        "ipAddresses": found,
        "dnsName": "",
        "dnsNames": [],
        "selfLink": f"https://sqladmin.googleapis.com/sql/v1beta4/projects/{place['project']}"
        f"/instances/{made.id}",
        "serviceAccountEmailAddress": f"p{place['number']}-{mark}@gcp-sa-cloud-sql.iam"
        ".gserviceaccount.com",
        "serverCaCerts": [],
        "instanceType": "CLOUD_SQL_INSTANCE",
        "maintenanceVersion": f"{made.get('databaseVersion')}.R20261101.01_00",
        "availableMaintenanceVersions": [],
        "pscServiceAttachmentLink": "",
        "deletionProtection": True,
    }


def _private_address(made: Made) -> str:
    """An address in the range that managed services have in its network."""
    connection = made.other(PEERING, f"{_IP}.privateNetwork")
    if connection is None:
        return ""
    names = connection.inputs.get("reservedPeeringRanges") or []
    entry = next((one for name in names if (one := made.world.find(RANGE, name))), None)
    block = reserved(entry) if entry else None
    if block is None:
        return str(IPv4Address("10.128.0.3") + made.number("address", 2**16))
    return str(block[3 + made.number("address", block.num_addresses - 4)])


def _leaving(made: Made) -> Iterator[Entry]:
    if made.get("deletionProtection", True):
        raise Refused(f"SQL instance {made.id}: deletionProtection is on: turn it off first")
    if made.get("settings.deletionProtectionEnabled"):
        raise Refused(f"SQL instance {made.id}: settings.deletionProtectionEnabled is on")
    yield from ()


def _user_password(given: Given) -> Iterator[Failure]:
    built_in = given.get("type", "BUILT_IN") == "BUILT_IN"
    if built_in and "password" not in given and "passwordWo" not in given:
        yield Failure("password", "is required for a user of type BUILT_IN, or passwordWo")
    if not built_in and ("password" in given or "passwordWo" in given):
        yield Failure("password", "is for users of type BUILT_IN only")


_OF_INSTANCE: Final = Ref("instance", INSTANCE, blocks=False)

KINDS: Final = [
    Kind(
        type=INSTANCE,
        called="SQL instance",
        identify=lambda values, _: values["name"],
        name="name",
        handles=("selfLink", "connectionName"),
        replaces=frozenset({"name", "project", "region", "encryptionKeyName", "masterInstanceName"})
        | {"clone", "restoreBackupContext", "settings.timeZone", "settings.collation"},
        replaces_if={
            "settings.diskSize": _shrinks,
            "settings.ipConfiguration.privateNetwork": lambda old, new: bool(old and not new),
        },
        kept=frozenset({"settings.diskSize", "rootPassword"}),
        unordered=frozenset(
            {"settings.databaseFlags", "settings.ipConfiguration.authorizedNetworks"}
        ),
        rules=[
            text("name", _NAME, "1 to 98 small letters, digits and hyphens, a letter first"),
            _length,
            among("databaseVersion", *_VERSIONS),
            among("settings.edition", "ENTERPRISE", "ENTERPRISE_PLUS"),
            _tier,
            among("settings.availabilityType", "REGIONAL", "ZONAL"),
            among("settings.diskType", "PD_SSD", "PD_HDD", "HYPERDISK_BALANCED"),
            between("settings.diskSize", 10, 65536, "GiB"),
            _backups,
            between(f"{_BACKUP}.backupRetentionSettings.retainedBackups", 1, 365, "backups"),
            among(f"{_BACKUP}.backupRetentionSettings.retentionUnit", "COUNT"),
            text(f"{_BACKUP}.startTime", r"([01]\d|2[0-3]):[0-5]\d", "HH:MM"),
            between("settings.finalBackupConfig.retentionDays", 1, 365, "days"),
            among(
                f"{_IP}.sslMode",
                *("ALLOW_UNENCRYPTED_AND_ENCRYPTED", "ENCRYPTED_ONLY"),
                "TRUSTED_CLIENT_CERTIFICATE_REQUIRED",
            ),
            cidr(f"{_IP}.authorizedNetworks[*].value"),
            text(
                f"{_IP}.privateNetwork",
                r"(https://.*/)?projects/[^/]+/global/networks/[a-z0-9-]+",
                "projects/…/global/networks/…",
            ),
            _address,
            _labels,
        ],
        refs=[Ref(f"{_IP}.privateNetwork", PEERING)],
        updated=_updated,
        outputs=_instance,
        leaving=_leaving,
        rests="Google keeps an instance's name for about a week",
    ),
    Kind(
        type="gcp:sql/database:Database",
        called="SQL database",
        identify=lambda values, place: (
            f"projects/{place['project']}/instances/{values['instance']}/databases/{values['name']}"
        ),
        name="name",
        handles=("selfLink",),
        replaces=frozenset({"name", "instance", "project"}),
        rules=[text("name", r"(?!template[01]$)[\w-]{1,63}", "1 to 63 letters, digits, _ or -")],
        refs=[_OF_INSTANCE],
        outputs=lambda made: {
            "selfLink": f"https://sqladmin.googleapis.com/sql/v1beta4/{made.id}",
            "charset": "UTF8",
            "collation": "en_US.UTF8",
        },
    ),
    Kind(
        type="gcp:sql/user:User",
        called="SQL user",
        identify=lambda values, _: (
            f"{values['name']}/{values.get('host') or ''}/{values['instance']}"
        ),
        name="name",
        handles=(),
        replaces=frozenset({"name", "instance", "project", "host", "type"}),
        rules=[
            at_most("name", 63),
            text("name", r"(?!cloudsql)[^\s]+", "without spaces, and not cloudsql…"),
            exclusive("password", "passwordWo"),
            with_other("passwordWo", "passwordWoVersion"),
            _user_password,
        ],
        refs=[_OF_INSTANCE],
        # To insert a user who is there already gives it the new password.
        overwrites=True,
    ),
]
