"""What a plan costs, by numbers that were worked out by hand."""

from pathlib import Path
from typing import Any

import pytest
from gate_plans import AWS, CONFIG, GCP, KUBERNETES, Made, Planned

from infra import catalog
from infra.catalog import Machine, Price
from infra.gate import judge
from infra.gate.ceiling import Burst, ceiling, cheapest, dearest, onprem
from infra.gate.floor import floors
from infra.gate.plan import parse
from infra.gate.terms import Terms, read
from infra.sections import Prices


def idle(*made: Made) -> float:
    return floors(parse(Planned(*made).json()))[1].usd


def named(made: tuple[Made, ...], kind: str) -> Made:
    return next(m for m in made if m.type.endswith(kind))


def pool(usd: float, most: int, gpus: int = 1, spot: float | None = None) -> Burst:
    def price(amount: float) -> Price:
        return Price(usd=amount, source="test", date="2026")

    machine = Machine(
        name="m", gpus=gpus, on_demand=price(usd), spot=None if spot is None else price(spot)
    )
    return Burst("p", machine, most, spot is not None)


def test_the_floor_of_the_stack_on_aws():
    # Database 2 x (0.065 x 730 + 50 x 0.115) = 106.40 and the secret of its password 0.40; VPN
    # (0.05 + 2 x 0.005) x 730 = 43.80 and the secret of its keys 0.40; key 1.00. Bucket and
    # registry cost by use; Kubernetes runs on machines paid elsewhere.
    assert idle(*AWS, *KUBERNETES) == pytest.approx(106.80 + 44.20 + 1.00)


def test_the_floor_of_the_stack_on_google_cloud():
    # Server 2 x (2 x 0.0413 + 4 x 0.007) x 730 = 161.476, disk 2 x 50 x 0.17 = 17,
    # two tunnels 2 x 0.05 x 730 = 73.
    assert idle(*GCP, *KUBERNETES) == pytest.approx(161.476 + 17 + 73)


def test_a_database_without_a_standby_costs_half():
    instance = named(AWS, ":Instance")
    single = Made("", instance.type, "x", {**instance.inputs, "multiAz": False})
    assert idle(single) == pytest.approx(53.60)


def test_before_and_after_a_change():
    plan = Planned(*AWS)
    plan.update("database", ":Instance", instanceClass="db.m7g.large")
    plan.create(Made("aws:Network network", "aws:ec2/natGateway:NatGateway", "nat-a", {}))
    plan.delete("network-vpn")
    before, after = floors(parse(plan.json()))
    assert before.usd == pytest.approx(152.00)
    # 2 x (0.168 x 730 + 5.75) + 0.40 = 257.18; NAT 0.045 x 730 = 32.85; key 1.
    assert after.usd == pytest.approx(257.18 + 32.85 + 1)
    assert "$152.00 → **$291.03** a month (+$139.03)" in judge(plan.json(), CONFIG).markdown


def test_what_has_no_price_is_named_and_not_taken_for_free():
    strange = Made("", "aws:sagemaker/notebookInstance:NotebookInstance", "strange", {})
    big = Made("", "aws:rds/instance:Instance", "big", {"instanceClass": "db.x9.huge"})
    group = Made("", "aws:autoscaling/group:Group", "always-on", {"minSize": 2})
    zero = Made("", "aws:autoscaling/group:Group", "zero", {"minSize": 0, "maxSize": 8})
    plan = Planned(strange, big, group, zero)
    urns = floors(parse(plan.json()))[1].unpriced
    assert [urn.rpartition("::")[2] for urn in urns] == ["strange", "big", "always-on"]
    text = judge(plan.json()).markdown
    note = next(line for line in text.splitlines() if "No price is known for" in line)
    assert all(name in note for name in ("strange", "big", "always-on"))
    assert "zero`" not in note


def test_nothing_of_the_example_stacks_is_without_a_price():
    for made in (AWS, GCP):
        assert floors(parse(Planned(*made, *KUBERNETES).json()))[1].unpriced == []


# -- the ceiling -----------------------------------------------------------------------------------


def test_the_ceiling_is_the_dearest_way_to_use_a_quota_up():
    pools = [pool(1.0, most=3), pool(10.0, most=2)]
    assert dearest(pools, 0) == 0
    assert dearest(pools, 1) == 10
    assert dearest(pools, 4) == 2 * 10 + 2 * 1
    assert dearest(pools, 100) == 2 * 10 + 3 * 1, "no more than the pools can start"


def test_each_gpu_may_hold_a_whole_machine():
    assert dearest([pool(8.0, most=4, gpus=8)], 2) == 16


def test_the_expected_price_fills_machines_up_and_uses_spot():
    pools = [pool(8.0, most=1, gpus=8, spot=4.0), pool(1.0, most=9)]
    assert cheapest(pools, 8) == 4
    assert cheapest(pools, 9) == 4 + 1
    assert cheapest(pools, 3) == 4, "the last machine is paid whole"


@pytest.mark.parametrize(
    ("cloud", "most", "expected"),
    [
        # Two and four L4, 0.8048 an hour each; spot 0.401.
        ("aws", {"vision": 1.6096, "language": 3.2192}, {"vision": 0.802, "language": 1.604}),
        ("gcp", {"vision": 1.52, "language": 3.04}, {"vision": 0.46, "language": 0.92}),
        ("none", {"vision": 0, "language": 0}, {"vision": 0, "language": 0}),
    ],
)
def test_the_ceiling_by_tenant(cloud: str, most: dict[str, float], expected: dict[str, float]):
    top = ceiling(Terms.model_validate({**CONFIG, "cloud": cloud}))
    assert top.tenants == pytest.approx(most)
    assert top.expected == pytest.approx(expected)
    assert top.usd == pytest.approx(sum(most.values()))


def test_the_stack_cannot_spend_more_than_its_pools_can_start():
    config = with_pool(maxNodes=1)
    assert ceiling(Terms.model_validate(config)).usd == pytest.approx(0.8048)


def with_pool(**changes: Any) -> dict[str, Any]:
    l4 = {**CONFIG["cluster"]["pools"]["l4"], **changes}
    return {**CONFIG, "cluster": {"pools": {"l4": l4}}}


@pytest.mark.parametrize(
    ("changes", "cloud", "why"),
    [
        ({"accelerator": "l40s"}, "gcp", "Google Cloud has no L40S"),
        ({"accelerator": "a10g"}, "gcp", "AWS alone sells the A10G"),
        ({"accelerator": "a100-80gb"}, "aws", "aws sells a100-80gb by 8, not by 1"),
        ({"accelerator": "b300"}, "aws", "b300 is not in the catalog"),
    ],
)
def test_a_pool_without_a_price_is_refused_when_there_is_a_budget(
    changes: dict[str, str], cloud: str, why: str
):
    config = {**with_pool(**changes), "cloud": cloud}
    verdict = judge(Planned(*KUBERNETES).json(), config)
    (reason,) = verdict.reasons
    assert why in reason
    without = judge(Planned(*KUBERNETES).json(), {**config, "budget": {}})
    assert without.reasons == ()
    assert f"no price for pool `l4: {why}" in without.markdown


def test_over_the_idle_budget():
    plan = Planned(*AWS).json()
    assert judge(plan, {**CONFIG, "budget": {"idlePerMonth": 152.00}}).reasons == ()
    (reason,) = judge(plan, {**CONFIG, "budget": {"idlePerMonth": 151.99}}).reasons
    assert reason == (
        "the idle floor, $152.00 a month, is above `spillway:budget.idlePerMonth`, $151.99"
    )


def test_over_the_burst_budget():
    plan = Planned(*AWS).json()
    assert judge(plan, {**CONFIG, "budget": {"burstPerHour": 4.83}}).reasons == ()
    (reason,) = judge(plan, {**CONFIG, "budget": {"burstPerHour": 4.82}}).reasons
    assert "$4.83 an hour, is above `spillway:budget.burstPerHour`, $4.82" in reason


def test_a_budget_of_nothing_is_a_budget():
    (reason,) = judge(Planned(*AWS).json(), {**CONFIG, "budget": {"idlePerMonth": 0}}).reasons
    assert "$0.00" in reason


def test_a_plan_that_leaves_out_what_stays_cannot_pass_a_budget():
    plan = Planned(*AWS).json()
    plan["steps"] = [s for s in plan["steps"] if s["newState"]["type"] == "pulumi:pulumi:Stack"]
    verdict = judge(plan, {**CONFIG, "budget": {"idlePerMonth": 10_000}})
    assert "made without `--show-sames`" in verdict.reasons[0]
    without = judge(plan, {**CONFIG, "budget": {}})
    assert without.exit_code == 0
    assert "the sum is not known" in without.markdown


# -- on-prem ---------------------------------------------------------------------------------------


def test_on_prem_gpus_have_a_price_though_nobody_set_one():
    own = onprem(Terms.model_validate(CONFIG))
    assert (own.gpus, own.hourly, own.assumed) == (16, catalog.ONPREM_GPU_HOUR.usd, True)
    text = judge(Planned(*AWS).json(), CONFIG).markdown
    assert "16 GPUs at $0.35 an hour each, a default (assumed:" in text
    assert "$5.60 an hour, $4,088.00 a month" in text
    assert "`vision` $1.40, `language` $2.80" in text


def test_the_price_of_on_prem_gpus_from_the_settings():
    config = {**CONFIG, "prices": {"onpremGpuHour": 1.5}}
    assert onprem(Terms.model_validate(config)).tenants == {"vision": 6.0, "language": 12.0}
    text = judge(Planned(*AWS).json(), config).markdown
    assert "16 GPUs at $1.50 an hour each, from `spillway:prices.onpremGpuHour`" in text


def test_a_default_of_the_settings_is_no_price_that_somebody_set(tmp_path: Path):
    file = tmp_path / "Pulumi.prod.yaml"
    file.write_text("config:\n  spillway:cloud: none\n")
    assert onprem(read(file)).assumed
    assert onprem(read(file)).hourly == Prices().onprem_gpu_hour
    file.write_text("config:\n  spillway:prices: {onpremGpuHour: 0.35}\n")
    assert not onprem(read(file)).assumed


def test_the_report_says_which_prices_nobody_looked_up():
    text = judge(Planned(*AWS).json(), CONFIG).markdown
    assert "us-east-1 and us-central1" in text
    assert "from memory: Site-to-Site VPN" in text
    assert "2026-11 (**unverified**)" in text
    assert "2026-01-19\n" in text
