"""How an instance of Cloud SQL is set up."""

from collections.abc import Sequence
from ipaddress import IPv4Network

import pulumi
from pulumi_gcp import sql

from components.gcp.names import labels

LONGEST_LOG = 7
"""Days of write-ahead log that the Enterprise edition keeps:
https://cloud.google.com/sql/docs/postgres/backup-recovery/pitr"""
FINAL_BACKUP_DAYS = 30
PRIVATE = [IPv4Network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]


def settings(  # noqa: PLR0913 - what there is to choose
    *,
    machine: str,
    size_gib: int,
    backup_days: int,
    network: pulumi.Input[str],
    clients: Sequence[str],
    protect: bool,
) -> sql.DatabaseInstanceSettingsArgsDict:
    """Two machines in two zones, a backup a day, and no public address."""
    return {
        "tier": machine,
        # Version 16 and later would be Enterprise Plus, which has other machines and prices.
        "edition": "ENTERPRISE",
        # A second machine in another zone takes over.
        "availability_type": "REGIONAL",
        "disk_type": "PD_SSD",
        "disk_size": size_gib,
        "disk_autoresize": True,
        "deletion_protection_enabled": protect,
        "retain_backups_on_delete": True,
        "final_backup_config": {"enabled": True, "retention_days": FINAL_BACKUP_DAYS},
        "backup_configuration": {
            "enabled": True,
            "point_in_time_recovery_enabled": True,
            "transaction_log_retention_days": min(LONGEST_LOG, backup_days),
            "backup_retention_settings": {
                "retained_backups": backup_days,
                "retention_unit": "COUNT",
            },
        },
        "ip_configuration": {
            "ipv4_enabled": False,
            "private_network": network,
            "ssl_mode": "ENCRYPTED_ONLY",
            "authorized_networks": [{"value": block} for block in _outside_rfc1918(clients)],
        },
        # The provider's default labels do not reach these.
        "user_labels": labels(),
    }


def _outside_rfc1918(clients: Sequence[str]) -> list[str]:
    return [
        client
        for client in clients
        if not any(IPv4Network(client).subnet_of(block) for block in PRIVATE)
    ]
