"""People whose names are more than letters: each has a server and a home of his own."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from person import Person, told
from testbed import NAMES, TENANT, Testbed, until

PLAIN = "ada"
OTHER_SERVER = "second"
USERNAME = "hub.jupyter.org/username"


@pytest.fixture(scope="module")
def people(bed: Testbed) -> Iterator[dict[str, Person]]:
    """All of them, each with a running server; they start at once."""
    found = {name: bed.person(name) for name in (PLAIN, *NAMES)}
    for person in found.values():
        person.end()
    start_all(found.values())
    yield found
    for person in found.values():
        person.stop()
    for person in found.values():
        person.gone()


def start_all(people: Iterable[Person]) -> None:
    """At once: the hub answers a request for a server when it is up, or after ten seconds."""
    everyone = list(people)
    with ThreadPoolExecutor(len(everyone)) as threads:
        answers = threads.map(lambda person: person.start(profile="small", tenant=TENANT), everyone)
    for answer in answers:
        assert answer.status_code in (201, 202), told(answer)
    for person in everyone:
        person.ready()


def notebooks(bed: Testbed) -> list[dict[str, Any]]:
    return bed.get("pods", "-n", TENANT, "-l", "spillway.dev/role=notebook")


def claims(pod: dict[str, Any]) -> list[str]:
    volumes = pod["spec"]["volumes"]
    return [
        v["persistentVolumeClaim"]["claimName"] for v in volumes if "persistentVolumeClaim" in v
    ]


def test_every_name_has_a_pod_and_a_home_of_its_own(
    bed: Testbed, people: dict[str, Person]
) -> None:
    pods = {pod["metadata"]["annotations"][USERNAME]: pod for pod in notebooks(bed)}
    assert set(pods) == set(people)
    homes = [claim for pod in pods.values() for claim in claims(pod)]
    assert len(homes) == len(set(homes)) == len(people)
    labels = {pod["metadata"]["labels"]["hub.jupyter.org/username"] for pod in pods.values()}
    assert len(labels) == len(people)


def test_what_somebody_wrote_is_there_after_stop_and_start_and_nobody_elses(
    people: dict[str, Person],
) -> None:
    for name, person in people.items():
        person.write("mine.txt", name)
        assert person.stop().status_code in (202, 204)
    for person in people.values():
        person.gone()
    start_all(people.values())
    for name, person in people.items():
        assert person.read("mine.txt") == name


def test_upper_case_is_the_same_person(bed: Testbed, people: dict[str, Person]) -> None:
    loud = bed.person(PLAIN.upper())
    assert loud.server() == people[PLAIN].server()
    loud.write("loud.txt", "HERE")
    assert people[PLAIN].read("loud.txt") == "HERE"


def test_a_named_server_is_a_second_pod_of_the_same_person(
    bed: Testbed, people: dict[str, Person]
) -> None:
    person = people[NAMES[0]]
    before = {pod["metadata"]["name"] for pod in notebooks(bed)}
    answer = person.start(OTHER_SERVER, profile="small")
    assert answer.status_code in (201, 202), told(answer)
    person.ready(OTHER_SERVER)
    (more,) = [pod for pod in notebooks(bed) if pod["metadata"]["name"] not in before]
    assert more["metadata"]["annotations"][USERNAME] == person.name
    assert person.run("print(6 * 7)", server=OTHER_SERVER) == "42\n"
    assert person.server() is not None
    person.stop(OTHER_SERVER)
    person.gone(OTHER_SERVER)
    until(lambda: True if len(notebooks(bed)) == len(before) else None, 30, "its pod is gone")
