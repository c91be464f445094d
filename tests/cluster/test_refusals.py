"""Servers that cannot be had, and servers that are hit: what people are told, what is left."""

import json
import re
import time
from collections.abc import Iterator

import pytest
from person import Person, told
from testbed import NAMES, NARROW, OTHER, TENANT, Testbed, until

ALIEN_CLASS = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "home-alan"},
    "spec": {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "there-is-none",
        "resources": {"requests": {"storage": "1Gi"}},
    },
}
RAW = re.compile(r"\{['\"]|Traceback|ApiException|HTTP response")
"""What only developers read."""
ROUTES = 60
"""Seconds in which a new proxy knows every server again."""


@pytest.fixture(scope="module", autouse=True)
def homeless(bed: Testbed) -> Iterator[Person]:
    """Somebody whose home no storage class will make; a later test waits for how it ends."""
    person = bed.person("alan")
    person.end()
    # Whatever home he has had so far.
    bed.kubectl("delete", "pvc", "home-alan", "-n", OTHER, "--ignore-not-found")
    bed.kubectl("apply", "-n", OTHER, "-f", "-", given=json.dumps(ALIEN_CLASS))
    assert person.start(profile="small").status_code in (201, 202)
    yield person
    bed.kubectl("delete", "pvc", "home-alan", "-n", OTHER, "--ignore-not-found", "--wait=false")


@pytest.fixture
def ada(bed: Testbed) -> Iterator[Person]:
    """Somebody with a running server."""
    person = bed.person("ada")
    person.end()
    person.start(profile="small")
    person.ready()
    yield person
    person.end()


def things(bed: Testbed, namespace: str) -> set[str]:
    """Whatever a server could leave behind."""
    kinds = "pods,persistentvolumeclaims,secrets,services"
    return {
        f"{thing['kind']} {thing['metadata']['name']}"
        for thing in bed.get(kinds, "-n", namespace)
        if "deletionTimestamp" not in thing["metadata"]
    }


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"profile": "huge"}, ["'huge'", "small, large, spark"]),
        ({"profile": "small", "tenant": OTHER}, [f"'{OTHER}'", TENANT]),
        ({"profile": ["small"]}, ["small, large, spark"]),
        ({"profile": "small", "tenant": {"a": 1}}, [TENANT]),
    ],
    ids=["unknown profile", "team of others", "profile as a list", "team as a map"],
)
def test_what_is_not_offered_is_refused_and_leaves_nothing(
    bed: Testbed, options: dict[str, str], words: list[str]
) -> None:
    person = bed.person(NAMES[1])
    person.end()
    before = things(bed, TENANT)
    answer = person.start(**options)
    assert answer.status_code == 400, told(answer)
    for word in words:
        assert word in answer.json()["message"]
    assert person.server() is None
    assert things(bed, TENANT) == before


def test_the_page_says_what_there_is_instead_of_an_unknown_profile(bed: Testbed) -> None:
    person = bed.person(NAMES[1])
    person.end()
    person.choices()
    answer = person.pick("huge")
    assert answer.status_code == 400
    assert "small, large, spark" in answer.text
    assert "Traceback" not in answer.text


def test_a_profile_the_team_may_not_have_is_refused(bed: Testbed) -> None:
    person = bed.person("tim")
    answer = person.start(profile="large")
    assert answer.status_code == 400, told(answer)
    assert "there are small" in answer.json()["message"]
    assert 'value="large"' not in person.choices()


def test_a_wrong_password_is_refused(bed: Testbed) -> None:
    person = Person(bed.hub, "ada")
    answer = person.log_in("wrong")
    assert answer.status_code == 403
    assert "Invalid username or password" in answer.text
    assert person.api("GET", "/user").status_code == 403


def test_somebody_of_no_team_is_told_so(bed: Testbed) -> None:
    answer = Person(bed.hub, "mallory").log_in(bed.password)
    assert answer.status_code == 403
    assert "You are logged in as mallory, but no team of this platform" in answer.text


def test_an_image_that_does_not_exist_and_a_full_quota_end_soon_and_say_why(
    bed: Testbed,
) -> None:
    person = bed.person("tim")
    person.end()
    before = things(bed, NARROW)
    began = time.monotonic()
    assert person.start(profile="small").status_code == 202
    full = person.start("another", profile="small")
    assert full.status_code == 409, full.text
    assert "has no room for this server" in full.json()["message"]
    assert "limits.memory" in full.json()["message"]
    assert not RAW.search(full.json()["message"])
    events = list(person.progress())
    assert time.monotonic() - began < 60
    assert events[-1]["failed"]
    assert "localhost/spillway/nothing:1" in events[-1]["message"]
    for event in events:
        assert not RAW.search(event["message"]), event
    page = person.page("/hub/spawn-pending/tim")
    assert page.status_code == 500
    assert "its image" in page.text
    assert "localhost/spillway/nothing:1" in page.text
    assert not RAW.search(page.text)

    def clean() -> bool | None:
        left = {thing for thing in things(bed, NARROW) if "PersistentVolumeClaim" not in thing}
        return True if left <= before and not person.servers() else None

    until(clean, 40, "pods and secrets gone")


def test_a_killed_notebook_is_noticed_and_starts_again(bed: Testbed, ada: Person) -> None:
    ada.write("kept.txt", "still here")
    bed.kubectl("delete", "pod", "notebook-ada", "-n", TENANT, "--grace-period=0", "--force")
    ada.gone(seconds=60)
    assert ada.start().status_code in (201, 202)
    ada.ready()
    assert ada.read("kept.txt") == "still here"


def test_a_new_proxy_knows_every_server_and_kernels_go_on(bed: Testbed, ada: Person) -> None:
    kernel = ada.kernel()
    kernel.run("x = 41")
    (proxy,) = bed.pods("jupyterhub", "proxy")
    bed.kubectl("delete", "pod", proxy, "-n", "spillway")
    began = time.monotonic()
    bed.whole()

    def back() -> bool | None:
        answer = ada.jupyter("GET", ada.home, f"kernels/{kernel.id}", allow_redirects=False)
        return True if answer.status_code == 200 else None

    until(back, ROUTES, "the server's route")
    print(f"routes were back after {time.monotonic() - began:.1f} s")
    assert kernel.run("print(x + 1)") == "42\n"


def test_a_home_that_cannot_be_made_ends_in_time_and_says_why(
    bed: Testbed, homeless: Person
) -> None:
    events = list(homeless.progress())
    assert events[-1]["failed"]
    assert "home directory" in events[-1]["message"]
    for event in events:
        assert not RAW.search(event["message"]), event
    homeless.gone()
    left = things(bed, OTHER)
    assert not [thing for thing in left if thing.startswith("Pod")]
    assert not [thing for thing in left if thing.endswith("-token")]


def test_a_server_whose_pod_is_taken_away_while_it_waits_ends_soon_and_says_so(
    bed: Testbed, homeless: Person
) -> None:
    assert homeless.start(profile="small").status_code in (201, 202)
    words = iter(homeless.progress())
    while "home directory" not in next(words)["message"]:
        pass
    began = time.monotonic()
    bed.kubectl("delete", "pod", "notebook-alan", "-n", OTHER, "--grace-period=0", "--force")
    *_, last = words
    assert time.monotonic() - began < 40
    assert last["failed"]
    assert "lost its place, because its pod was deleted: start it again" in last["message"]
    homeless.gone()


def test_a_new_hub_loses_no_server_and_ends_what_was_starting(bed: Testbed, ada: Person) -> None:
    kernel = ada.kernel()
    kernel.run("x = 41")
    starting = bed.person("grace")
    starting.end()
    assert starting.start(profile="small", tenant=TENANT).status_code in (201, 202)
    (hub,) = bed.pods("jupyterhub", "hub")
    bed.kubectl("delete", "pod", hub, "-n", "spillway", "--grace-period=0", "--force")
    # While there is no hub, running servers answer.
    assert kernel.run("print(x)") == "41\n"
    bed.whole()
    assert (ada.server() or {}).get("ready")
    assert kernel.run("print(x + 1)") == "42\n"

    def settled() -> bool | None:
        server = starting.server()
        if server is not None:
            return True if server["ready"] else None
        return True if "Pod notebook-grace" not in things(bed, TENANT) else None

    until(settled, 90, "what was starting is up, or gone with its pod")
    if starting.server() is None:
        assert starting.start(profile="small", tenant=TENANT).status_code in (201, 202)
        starting.ready()
    assert starting.run("print('up')") == "up\n"
    starting.end()
