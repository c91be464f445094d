"""The catalog: nothing is missing, and every price says where it is from."""

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass

import pytest

from infra import catalog
from infra.catalog import ACCELERATORS, CLOUDS, Absent, Price
from infra.sections import Accelerator, DatabaseClass


def prices(thing: object, path: str) -> Iterator[tuple[str, Price]]:
    if isinstance(thing, Price):
        yield path, thing
    elif isinstance(thing, dict):
        for key, value in thing.items():
            yield from prices(value, f"{path}.{key}")
    elif isinstance(thing, tuple):
        for index, value in enumerate(thing):
            yield from prices(value, f"{path}[{index}]")
    elif is_dataclass(thing):
        for field in fields(thing):
            yield from prices(getattr(thing, field.name), f"{path}.{field.name}")


ALL = [
    found
    for name, value in vars(catalog).items()
    if name.isupper()
    for found in prices(value, name)
]


def test_there_are_prices_to_look_at():
    assert len(ALL) > 50


@pytest.mark.parametrize(("path", "price"), ALL, ids=[path for path, _ in ALL])
def test_every_price_has_a_source_and_a_date(path: str, price: Price):
    assert price.usd > 0
    assert len(price.source) > 10
    assert re.fullmatch(r"20\d\d(-\d\d(-\d\d)?)?", price.date)
    if "from memory" in price.source or "assumed" in price.source:
        assert not price.verified


def test_settings_and_catalog_know_the_same_names():
    assert set(ACCELERATORS) == set(Accelerator)
    assert set(catalog.DATABASE_CLASSES) == set(DatabaseClass)


@pytest.mark.parametrize("name", ACCELERATORS)
@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_accelerator_is_sold_by_each_cloud_or_says_why_not(name: str, cloud: str):
    machines = ACCELERATORS[name].machines(cloud)  # pyright: ignore[reportArgumentType]
    if isinstance(machines, Absent):
        assert len(machines.reason) > 20
        return
    sizes = [machine.gpus for machine in machines]
    assert sizes
    assert sizes == sorted(set(sizes)), "one machine by number of GPUs, the smallest first"
    for machine in machines:
        if machine.spot:
            assert machine.spot.usd < machine.on_demand.usd


@pytest.mark.parametrize("name", catalog.DATABASE_CLASSES)
def test_every_database_has_a_price_in_both_clouds(name: str):
    size = catalog.DATABASE_CLASSES[name]
    assert size.gcp == f"db-custom-{size.vcpus}-{size.memory_gib * 1024}"
    assert catalog.database_price(size.aws)
    assert catalog.database_price(size.gcp)


def test_larger_databases_cost_more():
    for cloud in CLOUDS:
        found = [
            catalog.database_price(getattr(size, cloud))
            for size in catalog.DATABASE_CLASSES.values()
        ]
        usd = [price.usd for price in found if price]
        assert usd == sorted(usd)
        assert len(set(usd)) == len(usd)


def test_a_machine_nobody_knows_has_no_price():
    assert catalog.database_price("db.x9.huge") is None
    assert catalog.database_price("db-f1-micro") is None


def test_a_custom_tier_costs_by_processor_and_memory():
    price = catalog.database_price("db-custom-4-15360")
    assert price
    assert price.usd == pytest.approx(4 * 0.0413 + 15 * 0.007)
