"""What is precious ends in two plans: one takes the locks off by name, one makes the change."""

import re

from staging import config_of, new_stage
from test_destructive_edits import FOUNDATION, Edit, edited, verdict_on

from rig.rehearsal.play import UP

RENAMED = Edit(
    "a database that is called otherwise",
    (),
    program=((FOUNDATION, '"database",\n        {cloud}.', '"metadata",\n        {cloud}.'),),
)


def named(markdown: str) -> list[str]:
    """URNs of a report, in order."""
    return list(dict.fromkeys(re.findall(r"urn:pulumi:[^\s`'\"|<)]+", markdown)))


def test_a_database_is_let_go_by_name_and_nothing_else_is(tmp_path):
    stage, config = new_stage(tmp_path / "stage", "prod"), config_of("prod")
    project = edited(tmp_path, "aws", RENAMED)
    with stage.open():
        assert stage.run(UP, config).code == 0
        refused = verdict_on(stage, config, project)
        assert refused.refused
        # With it goes who may make the hub's database on it.
        urns = [u for u in named(refused.markdown) if "database" in u.rpartition("::")[2]]
        assert any(u.endswith("::database-instance") for u in urns)

        allowing = {**config, "spillway:allow": urns}
        # Naming it is not enough: its lock is still on, and the engine's own plan stops at it.
        assert stage.run(["preview"], allowing, project).code != 0
        assert not verdict_on(stage, allowing).refused
        first = stage.run(UP, allowing)
        assert first.code == 0, first.words
        assert not verdict_on(stage, allowing, project).refused
        second = stage.run(UP, allowing, project)
        assert second.code == 0, second.words

        others = {k: v for k, v in allowing.items() if k != "spillway:protect"}
        still = stage.run(["destroy", "--yes", "--skip-preview"], others, project)
        assert still.code != 0, "the rest of the stack must still be locked"


def test_a_tenant_is_let_go_by_name_and_its_namespace_goes(tmp_path):
    stage, config = new_stage(tmp_path / "stage", "prod"), config_of("prod")
    tenants = config["spillway:tenants"]
    fewer = {**config, "spillway:tenants": {"vision": tenants["vision"]}}
    with stage.open():
        assert stage.run(UP, config).code == 0
        refused = verdict_on(stage, fewer)
        urns = [u for u in named(refused.markdown) if "tenant-language" in u.rpartition("::")[2]]
        assert refused.refused
        assert any(u.endswith("::tenant-language-namespace") for u in urns)
        assert stage.run(UP, fewer).code != 0, "the engine's own lock is still on"

        allow = {"spillway:allow": urns}
        assert not verdict_on(stage, {**config, **allow}).refused
        first = stage.run(UP, {**config, **allow})
        assert first.code == 0, first.words
        assert not verdict_on(stage, {**fewer, **allow}).refused
        second = stage.run(UP, {**fewer, **allow})
        assert second.code == 0, second.words

        left = {r["urn"].rpartition("::")[2] for r in stage.state()}
        assert "tenant-vision-namespace" in left
        assert not {name for name in left if "tenant-language" in name}
