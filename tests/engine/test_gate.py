"""The gate on plans that the real engine makes, of a tiny stack in two clouds that are none."""

import json
from typing import Any

import pytest
from tiny import NewStack, pulumi

from infra.gate import judge
from infra.gate.markdown import MARKER
from rig.stack import Stack, StackError, up

PLAN = ["preview", "--json", "--show-sames", "--ignore-protect", "--stack", "dev"]
QUICK = ["--skip-preview"]
PROGRAM = """\
import pulumi
import pulumi_random as random


class Database(pulumi.ComponentResource):
    def __init__(self, name, cloud, length, opts):
        super().__init__(f"spillway:{cloud}:Database", name, None, opts)
        locked = pulumi.ResourceOptions(parent=self, protect=config.get_bool("locked") is not False)
        for part in ("password", "salt"):
            made = random.RandomPassword(f"{name}-{part}", length=length, opts=locked)
        self.url = made.result
        self.register_outputs({})


class Mlflow(pulumi.ComponentResource):
    def __init__(self, name, url, opts):
        super().__init__("spillway:index:Mlflow", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        random.RandomId(f"{name}-name", byte_length=4, keepers={"url": url}, opts=child)
        self.register_outputs({})


config = pulumi.Config("spillway")
cloud = config.require("cloud")
provider = pulumi.ResourceOptions(provider=random.Provider(cloud))
cluster = pulumi.ResourceOptions(provider=random.Provider("cluster"))
length = config.get_int("length") or 16
Mlflow("mlflow", Database("database", cloud, length, provider).url, cluster)
if config.get_bool("broken"):
    raise pulumi.RunError("spillway:broken is true")
"""


def config(cloud: str = "aws", **more: Any) -> str:
    values = {"cloud": cloud, "budget": {"idlePerMonth": 5}, **more}
    return json.dumps({"config": {f"spillway:{key}": value for key, value in values.items()}})


@pytest.fixture
def stack(new_stack: NewStack) -> Stack:
    made = new_stack(PROGRAM, config())
    (made.project / "Pulumi.yaml").write_text("name: spillway\nruntime: python\n")
    up(made, extra=QUICK)
    return made


def plan(stack: Stack, *arguments: str) -> dict[str, Any]:
    return json.loads(pulumi(stack, *(arguments or PLAN)).stdout)


def test_the_engine_tells_all_that_would_end_only_when_it_ignores_protect(stack: Stack):
    assert judge(plan(stack)).exit_code == 0

    stack.config.write_text(config(length=24))
    whole = judge(plan(stack))
    assert whole.exit_code == 1
    assert len(whole.reasons) == 2
    assert "`length: 16 → 24`" in whole.markdown
    assert whole.markdown.startswith(f"{MARKER}\n## 🛑 Refused: stack `dev`")
    assert "**0** to create, **0** to update, **3** to replace" in whole.markdown

    some = [word for word in PLAN if word not in ("--show-sames", "--ignore-protect")]
    part = judge(plan(stack, *some), {})
    assert part.exit_code == 1, "refused with what is known"
    assert "make the plan with `--ignore-protect`" in part.markdown

    with pytest.raises(StackError):
        up(stack, extra=QUICK)  # --ignore-protect is for plans alone: the locks hold


def test_settings_come_from_the_plan_and_its_secrets_stay_out(stack: Stack):
    stack.config.write_text(config(length=24, allow=[]))
    refused = judge(plan(stack))
    urns = [u for u in refused.markdown.split() if u.endswith(("-password", "-salt"))]
    stack.config.write_text(config(length=24, allow=sorted(set(urns))))
    document = plan(stack)
    assert judge(document).exit_code == 0
    opened = json.loads(pulumi(stack, "stack", "export", "--show-secrets").stdout)
    outputs = [resource.get("outputs", {}) for resource in opened["deployment"]["resources"]]
    passwords = [json.loads(o["result"]["plaintext"]) for o in outputs if "result" in o]
    assert len(passwords) == 2
    for text in (refused.markdown, judge(document).markdown, json.dumps(document)):
        assert not any(password in text for password in passwords)


def test_a_program_that_fails_is_not_judged(stack: Stack):
    stack.config.write_text(config(broken=True))
    verdict = judge(plan(stack))
    assert verdict.exit_code == 2
    assert "spillway:broken is true" in verdict.markdown


def test_the_steps_of_a_migration_work_in_their_order(stack: Stack):
    """The commands that the report gives, by the engine: both clouds stand side by side."""
    stack.config.write_text(config("gcp"))
    report = judge(plan(stack)).markdown
    assert "To migrate by hand: " not in report, "random passwords are no cloud's"
    clouds = "urn:pulumi:dev::spillway::spillway:{}:**"

    up(stack, extra=[*QUICK, "--target", clouds.format("gcp")])
    assert owners(stack) == {"aws", "gcp"}
    up(stack, extra=[*QUICK, "--exclude", clouds.format("aws")])
    assert owners(stack) == {"aws", "gcp"}

    with pytest.raises(StackError):
        up(stack, extra=QUICK)  # what is old is locked still
    stack.config.write_text(config(locked=False))
    up(stack, extra=[*QUICK, "--target", clouds.format("aws")])
    stack.config.write_text(config("gcp"))
    rest = plan(stack)
    changes = {step["op"] for step in rest["steps"]}
    assert changes == {"same", "delete"}, "only what is old is left to do"
    assert {step["urn"].split("::")[2].split(":")[1] for step in rest["steps"]} >= {"aws"}
    assert len(judge(rest).reasons) == 2, "the old password and salt, and nothing new"
    up(stack, extra=QUICK)
    assert owners(stack) == {"gcp"}


def test_a_saved_plan_allows_nothing_else(stack: Stack):
    file = stack.project / "update-plan.json"
    stack.config.write_text(config(length=16, other="x"))
    plan(stack, *PLAN, "--save-plan", str(file))
    stack.config.write_text(config("gcp", other="x"))
    with pytest.raises(StackError):
        up(stack, extra=[*QUICK, "--plan", str(file)])
    assert owners(stack) == {"aws"}


def owners(stack: Stack) -> set[str]:
    state = json.loads(pulumi(stack, "stack", "export").stdout)
    types = {resource["type"] for resource in state["deployment"]["resources"]}
    return {t.split(":")[1] for t in types if t.endswith(":Database")}
