"""Edits that would destroy something precious: planned by the real engine, refused by the gate."""

import shutil
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from staging import config_of

from infra.gate import judge
from infra.settings import read
from rig import paths
from rig.rehearsal.scenes import Config
from rig.stack import PLAN

Change = Callable[[Config], None]
FOUNDATION = "infra/clouds/{cloud}.py"


def nothing(config: Config) -> None:
    pass


@dataclass(frozen=True)
class Edit:
    """One edit, and what the gate must name."""

    name: str
    named: tuple[str, ...]
    config: Change = nothing
    program: tuple[tuple[str, str, str], ...] = field(default=())
    """File, text, other text."""
    stacks: tuple[str, ...] = ("prod", "prod-gcp")


def put(path: str, value: object) -> Change:
    def change(config: Config) -> None:
        first, *rest = path.split(".")
        if not rest:
            config[f"spillway:{first}"] = value
            return
        section = config[f"spillway:{first}"]
        for part in rest[:-1]:
            section = section[part]
        section[rest[-1]] = value

    return change


def without(path: str) -> Change:
    def change(config: Config) -> None:
        first, last = path.split(".")
        del config[f"spillway:{first}"][last]

    return change


def drop(config: Config, key: str) -> None:
    del config[f"spillway:{key}"]


FINE: dict[str, Change] = {
    "another provider": lambda c: c.update(
        {
            "spillway:login": {
                "provider": "oidc",
                "clientId": "spillway",
                "issuer": "https://id.example.com/realms/ds",
            }
        }
    ),
    "another domain": put("login.hostedDomain", "ds.example.com"),
    "a larger quota": put("tenants.vision.quota.cpu", 64),
    "a smaller quota": put("tenants.vision.quota.memory", "64Gi"),
    "another tenant": put("tenants.speech", {"members": ["new@example.com"]}),
    "somebody who leaves": put("tenants.vision.members", ["other@example.com"]),
    "smaller notebooks": put("notebooks.sizes", {"small": {"cpu": 0.5, "memory": "1Gi"}}),
    "no images kept": put("notebooks.prePull", False),
    "no internet": put("notebooks.internet", False),
}
"""Edits of an ordinary day, which nobody is to be asked about."""
EDITS = [
    Edit(
        "the other cloud",
        ("database-instance", "object-store-bucket"),
        put("cloud", "gcp"),
        stacks=("prod",),
    ),
    Edit(
        "the other cloud",
        ("database-instance", "object-store-bucket"),
        put("cloud", "aws"),
        stacks=("prod-gcp",),
    ),
    Edit(
        "no cloud",
        ("database-instance", "object-store-bucket"),
        lambda c: c.update({"spillway:cloud": "none", "spillway:database": {"size": "5Gi"}}),
    ),
    Edit(
        "a database that is called otherwise",
        ("database-instance",),
        program=((FOUNDATION, '"database",\n        {cloud}.', '"metadata",\n        {cloud}.'),),
    ),
    Edit(
        "a bucket that is called otherwise",
        ("object-store-bucket",),
        program=(
            (FOUNDATION, '"object-store",\n        {cloud}.', '"artifacts",\n        {cloud}.'),
        ),
    ),
    Edit(
        "a network that is called otherwise",
        ("network-",),
        program=((FOUNDATION, '"network",\n        {cloud}.', '"vpc",\n        {cloud}.'),),
    ),
    Edit(
        "another address range", ("network",), put("aws.network", "10.70.0.0/16"), stacks=("prod",)
    ),
    Edit(
        "another address range",
        ("network",),
        put("gcp.network", "10.112.0.0/20"),
        stacks=("prod-gcp",),
    ),
    Edit(
        "another range for services",
        ("services",),
        put("gcp.services", "10.113.0.0/20"),
        stacks=("prod-gcp",),
    ),
    Edit("an older PostgreSQL", ("database-instance",), put("database.version", 16)),
    Edit(
        "a tenant less",
        ("tenant-language-namespace", "volumes included", "identity-tenant-language"),
        without("tenants.language"),
        stacks=("prod",),
    ),
    Edit(
        "a tenant less",
        ("tenant-language-namespace", "volumes included", "tenant-language"),
        without("tenants.language"),
        stacks=("prod-gcp",),
    ),
    Edit(
        "a tenant that is called otherwise",
        ("tenant-language-namespace",),
        lambda c: c["spillway:tenants"].update(speech=c["spillway:tenants"].pop("language")),
        stacks=("prod",),
    ),
    Edit(
        "teams without their fences",
        ("tenant-vision-default-deny", "tenant-vision-quota", "guard-pods", "guard-settings"),
        program=(
            ("components/tenant.py", "        self._limit()\n", ""),
            ("components/namespace.py", '-default-deny"', '-fence"'),
            ("infra/teams.py", '    Guard("guard", GuardArgs(audiences=tokens_for), opts)\n', ""),
        ),
        stacks=("prod",),
    ),
    Edit("no login", ("jupyterhub-crypt-key", "jupyterhub-cookie-key"), lambda c: drop(c, "login")),
    Edit(
        "a hub that is called otherwise",
        ("database-jupyterhub-owner-password", "jupyterhub-crypt-key"),
        program=(("infra/clouds/__init__.py", 'HUB = "jupyterhub"', 'HUB = "hub"'),),
        stacks=("prod",),
    ),
    Edit(
        "a hub that is called otherwise",
        ("database-jupyterhub-database", "database-jupyterhub-password", "jupyterhub-crypt-key"),
        program=(("infra/clouds/__init__.py", 'HUB = "jupyterhub"', 'HUB = "hub"'),),
        stacks=("prod-gcp",),
    ),
    Edit(
        "a namespace that is called otherwise",
        ("platform-namespace",),
        put("namespace", "datascience"),
    ),
    Edit("the locks off", ("database-instance",), put("protect", False)),
    Edit(
        "another region",
        ("database-instance", "network"),
        lambda c: (
            put("aws.region", "eu-west-1")(c),
            put("cluster.issuer", "https://spillway-oidc-example.s3.eu-west-1.amazonaws.com")(c),
        ),
        stacks=("prod",),
    ),
    Edit(
        "another region",
        ("database-instance", "object-store-bucket"),
        put("gcp.region", "europe-west4"),
        stacks=("prod-gcp",),
    ),
    Edit(
        "another issuer",
        ("issuer",),
        put("cluster.issuer", "https://other-oidc.s3.eu-central-1.amazonaws.com"),
        stacks=("prod",),
    ),
    Edit(
        "a server that is called otherwise",
        ("passphrase",),
        program=(("infra/clouds/__init__.py", 'TRACKING = "mlflow"', 'TRACKING = "tracking"'),),
    ),
]
CASES = [
    # What is the same edit of both stack files is played on the second when there is time.
    pytest.param(
        stack,
        edit,
        id=f"{stack}: {edit.name}",
        marks=[pytest.mark.thorough] if at else [],
    )
    for edit in EDITS
    for at, stack in enumerate(edit.stacks)
]


def edited(folder: Path, cloud: str, edit: Edit) -> Path:
    """The project with the edit in it."""
    project = folder / "project"
    for part in ("components", "infra", "images"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(paths.ROOT / part, project / part, ignore=ignore)
    for file in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(paths.ROOT / file, project / file)
    for name, old, new in edit.program:
        file = project / name.format(cloud=cloud)
        text = file.read_text()
        assert text.count(old.format(cloud=cloud)) == 1, f"{name} has changed: mend this test"
        file.write_text(text.replace(old.format(cloud=cloud), new.format(cloud=cloud)))
    return project


def verdict_on(stage, config: Config, project: Path | None = None):
    played = stage.run(PLAN, config, project)
    return judge(played.plan, read(played.file))


@pytest.mark.parametrize("name", ["prod", "prod-gcp"])
def test_the_stack_as_it_is_passes(name, standing):
    verdict = verdict_on(standing(name), config_of(name))

    assert not verdict.refused
    assert verdict.exit_code == 0


@pytest.mark.parametrize(("name", "edit"), CASES)
def test_a_destructive_edit_is_refused_by_name(name, edit, standing, tmp_path):
    stage, config = standing(name), deepcopy(config_of(name))
    edit.config(config)
    project = edited(tmp_path, config_of(name)["spillway:cloud"], edit) if edit.program else None

    verdict = verdict_on(stage, config, project)

    assert verdict.refused, verdict.markdown
    reasons = "\n".join(verdict.reasons)
    for part in edit.named:
        assert part in reasons, reasons
    assert "urn:pulumi:" in verdict.markdown


@pytest.mark.parametrize("edit", FINE)
def test_an_ordinary_edit_passes_and_replaces_nothing_precious(edit, standing):
    stage, config = standing("prod"), deepcopy(config_of("prod"))
    FINE[edit](config)

    verdict = verdict_on(stage, config)

    assert not verdict.refused, verdict.markdown
    assert verdict.exit_code == 0, verdict.failures


def test_the_report_tells_of_a_new_tenant_and_what_the_end_of_one_destroys(standing):
    stage, config = standing("prod"), deepcopy(config_of("prod"))
    FINE["another tenant"](config)
    new = verdict_on(stage, config).markdown
    assert "`index:Tenant tenant-speech`" in new or "tenant-speech-namespace" in new

    config = deepcopy(config_of("prod"))
    without("tenants.language")(config)
    old = verdict_on(stage, config).markdown
    lost = old.partition("### 🔴 Precious things that end")[2].partition("###")[0]
    assert "tenant-language-namespace" in lost
    assert "everything in it goes with it, volumes included" in lost


def test_there_are_as_many_as_promised():
    assert len({edit.name for edit in EDITS}) >= 10
