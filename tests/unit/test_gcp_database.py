"""Cloud SQL: private, encrypted, locked twice, and its password nowhere in plain."""

import pytest
from builders import guest
from builders_gcp import PROJECT, database
from pulumi.runtime.rpc import is_rpc_secret

INSTANCE = "database-instance"
PASSWORD = "hunter2databasepassword"


def settings(engine):
    return engine.named(INSTANCE)["settings"]


def test_clients_connect_with_a_password_and_only_encrypted(engine, resolve):
    values = resolve(lambda: [(d := database()).host, d.port, d.database, d.user, d.url])

    assert values == [
        "10.97.0.3",
        5432,
        "mlflow",
        "mlflow",
        f"postgresql://mlflow:{PASSWORD}@10.97.0.3:5432/mlflow?sslmode=require",
    ]
    assert settings(engine)["ipConfiguration"]["sslMode"] == "ENCRYPTED_ONLY"


def test_the_url_is_secret(resolve):
    flags = resolve(lambda: [(d := database()).url.is_secret(), d.host.is_secret()])

    assert flags == [True, False]


def test_the_password_is_given_to_cloud_sql_and_not_kept_by_it(engine, resolve):
    resolve(lambda: database().urn)

    user = engine.named("database-user")
    assert is_rpc_secret(user["passwordWo"])
    assert user["passwordWo"]["value"] == PASSWORD
    assert "password" not in user
    assert is_rpc_secret(user["passwordWoVersion"])
    version = user["passwordWoVersion"]["value"]
    assert version == int(version) < 2**31


def test_there_is_no_public_address(engine, resolve):
    resolve(lambda: database().urn)

    way = settings(engine)["ipConfiguration"]
    assert way["ipv4Enabled"] is False
    assert way["privateNetwork"] == "database-net-network-id"
    assert way["authorizedNetworks"] == []


def test_clients_with_addresses_that_cloud_sql_takes_for_public_are_named(engine, resolve):
    clients = ["10.10.0.0/16", "172.31.0.0/16", "100.64.0.0/16", "192.168.1.0/24", "11.0.0.0/24"]
    resolve(lambda: database(clients=clients).urn)

    named = settings(engine)["ipConfiguration"]["authorizedNetworks"]
    assert named == [{"value": "100.64.0.0/16"}, {"value": "11.0.0.0/24"}]


def test_the_whole_world_cannot_be_a_client(engine):
    with pytest.raises(ValueError, match="cannot be everybody"):
        database(clients=["10.10.0.0/16", "0.0.0.0/0"])


def test_a_disk_smaller_than_google_makes_is_refused(engine):
    with pytest.raises(ValueError, match="below 10 GiB"):
        database(size_gib=9)


@pytest.mark.parametrize("protect", [True, False])
def test_both_locks_of_google_and_the_one_of_pulumi_follow_protect(protect, engine, resolve):
    resolve(lambda: database(protect=protect).urn)

    assert engine.named(INSTANCE)["deletionProtection"] is protect
    assert settings(engine)["deletionProtectionEnabled"] is protect
    for name in (INSTANCE, "database-database", "database-password"):
        assert engine.requests[name].protect is protect, name


def test_it_can_be_brought_back(engine, resolve):
    resolve(lambda: database().urn)

    own = settings(engine)
    assert own["finalBackupConfig"] == {"enabled": True, "retentionDays": 30}
    assert own["retainBackupsOnDelete"] is True
    assert own["availabilityType"] == "REGIONAL"
    assert own["backupConfiguration"] == {
        "enabled": True,
        "pointInTimeRecoveryEnabled": True,
        "transactionLogRetentionDays": 7,
        "backupRetentionSettings": {"retainedBackups": 14, "retentionUnit": "COUNT"},
    }


def test_the_log_is_kept_no_longer_than_the_backups_it_starts_from(engine, resolve):
    resolve(lambda: database(backup_days=3).urn)

    assert settings(engine)["backupConfiguration"]["transactionLogRetentionDays"] == 3


def test_machine_and_version_are_those_asked_for_in_the_edition_that_has_them(engine, resolve):
    resolve(lambda: database(version=16, machine="db-custom-4-16384").urn)

    assert engine.named(INSTANCE)["databaseVersion"] == "POSTGRES_16"
    assert settings(engine)["tier"] == "db-custom-4-16384"
    assert settings(engine)["edition"] == "ENTERPRISE"


def test_a_disk_that_grew_by_itself_is_not_shrunk_by_replacing_it(engine, resolve):
    resolve(lambda: database().urn)

    assert settings(engine)["diskSize"] == 50
    assert settings(engine)["diskAutoresize"] is True
    assert list(engine.requests[INSTANCE].ignoreChanges) == ["settings.diskSize"]


def test_labels_reach_the_instance_which_default_labels_do_not(engine, resolve):
    resolve(lambda: database().urn)

    assert settings(engine)["userLabels"] == {
        "project": "spillway",
        "stack": "dev",
        "managed-by": "pulumi",
    }


def test_it_waits_for_the_range_its_address_comes_from(engine, resolve):
    resolve(lambda: database().urn)

    after = {urn.rpartition("::")[2] for urn in engine.requests[INSTANCE].dependencies}
    assert "database-net-services" in after


def test_whoever_uses_it_waits_for_the_database_and_its_user(resolve):
    ready = resolve(lambda: [r.urn for r in database().ready])

    assert [urn.rpartition("::")[2] for urn in ready] == [
        INSTANCE,
        "database-database",
        "database-user",
    ]


def test_pods_may_reach_the_range_of_managed_services_and_only_the_port(resolve):
    assert resolve(lambda: (database().egress, database("other").environment)) == (
        [
            {
                "to": [{"ip_block": {"cidr": "10.97.0.0/20"}}],
                "ports": [{"protocol": "TCP", "port": 5432}],
            }
        ],
        {},
    )


def test_a_new_instance_gets_a_name_of_its_own_in_every_life(engine, resolve):
    resolve(lambda: database().urn)

    assert "name" not in engine.named(INSTANCE)
    assert engine.requests[INSTANCE].importId == ""
    assert engine.requests["database-database"].importId == ""


@pytest.mark.parametrize("protect", [True, False])
def test_an_adopted_instance_is_imported_with_its_database_and_protected_whatever_is_said(
    protect, engine, resolve
):
    resolve(lambda: database(adopt="old-mlflow", protect=protect).urn)

    assert engine.named(INSTANCE)["name"] == "old-mlflow"
    assert engine.requests[INSTANCE].importId == "old-mlflow"
    assert engine.requests["database-database"].importId == (
        f"projects/{PROJECT}/instances/old-mlflow/databases/mlflow"
    )
    assert engine.requests["database-user"].importId == ""
    for name in (INSTANCE, "database-database", "database-password"):
        assert engine.requests[name].protect is True, name
    assert engine.named(INSTANCE)["deletionProtection"] is True
    assert settings(engine)["deletionProtectionEnabled"] is True


def test_data_is_never_deleted_on_its_own(engine, resolve):
    resolve(lambda: database().urn)

    for name in ("database-database", "database-user"):
        assert engine.named(name)["deletionPolicy"] == "ABANDON"


def second(**changes):
    return database(**changes).another("jupyterhub", guest())


def test_another_database_is_on_the_same_server_with_a_user_and_a_password_of_its_own(
    engine, resolve
):
    values = resolve(lambda: [(d := second()).host, d.port, d.database, d.user, d.url])

    other = "hunter2databasejupyterhubpassword"
    assert values == [
        "10.97.0.3",
        5432,
        "jupyterhub",
        "jupyterhub",
        f"postgresql://jupyterhub:{other}@10.97.0.3:5432/jupyterhub?sslmode=require",
    ]
    assert len(engine.of("DatabaseInstance")) == 1
    for name in ("database-jupyterhub-database", "database-jupyterhub-user"):
        assert engine.named(name)["name"] == "jupyterhub"
        assert engine.named(name)["deletionPolicy"] == "ABANDON"
        assert engine.named(name)["instance"] == engine.named("database-database")["instance"]
    assert engine.named("database-jupyterhub-user")["passwordWo"]["value"] == other


@pytest.mark.parametrize("protect", [True, False])
def test_another_database_is_protected_like_the_first(protect, engine, resolve):
    resolve(lambda: second(protect=protect).url)

    for name in ("database-jupyterhub-database", "database-jupyterhub-password"):
        assert engine.requests[name].protect is protect, name


def test_another_database_is_made_and_never_imported(engine, resolve):
    resolve(lambda: second(adopt="old-mlflow", protect=False).url)

    assert engine.requests["database-jupyterhub-database"].importId == ""
    assert engine.requests["database-jupyterhub-database"].protect is True
    assert engine.requests["database-jupyterhub-password"].protect is True


def test_whoever_uses_another_database_waits_for_it(resolve):
    egress, first, is_secret, ready = resolve(
        lambda: [
            (d := second()).egress,
            database("first").egress,
            d.url.is_secret(),
            [r.urn for r in d.ready],
        ]
    )

    assert [urn.rpartition("::")[2] for urn in ready] == [
        INSTANCE,
        "database-jupyterhub-database",
        "database-jupyterhub-user",
    ]
    assert egress == first
    assert is_secret is True
