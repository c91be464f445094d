"""New images of everything at once: nobody's work is lost, and what starts afterwards is new."""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from logging_client import logging_in, writing
from next_image import MARK, make_next
from person import Kernel, NotDone, Person, told
from testbed import OTHER, TENANT, Testbed, until
from websocket import WebSocketException

from infra.images import LOADED
from rig import images, paths, stack

CHANGED = ("hub", "mlflow", "notebook")
"""Folders of images that a new version changes; the notebook with Spark is built on the last."""
PACKAGE, MODULE = "inflection==0.5.1", "inflection"
"""Small, pure Python, and in no image of the platform."""
TAGS = f"""
import json, infra.images as i
names = {(*CHANGED, "notebook-spark")!r}
tags = {{name: name + ":" + i.content_tag(name) for name in names}}
print(json.dumps({{**tags, "team": i.team_image("notebook", [{PACKAGE!r}])}}))
"""
HUB = "app.kubernetes.io/name=jupyterhub"
LONG = """
import os, time
n = 0
while not os.path.exists("/tmp/over"):
    print(n)
    n += 1
    time.sleep(0.2)
"""
IMPORT = f"import {MODULE}; print({MODULE}.__version__)"
PATIENCE = 3
"""Tries, a second apart, that a client of the tracking server makes before it gives up."""


class Watch(threading.Thread):
    """Asks again and again beside the test, and remembers what went wrong."""

    def __init__(self, ask: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._ask, self._over = ask, threading.Event()
        self.answers = 0
        self.failures: list[str] = []

    def run(self) -> None:
        began = time.monotonic()
        while not self._over.wait(0.3):
            try:
                self._ask()
                self.answers += 1
            except (AssertionError, OSError, WebSocketException) as error:
                self.failures.append(f"after {time.monotonic() - began:.1f} s: {error!r:.300}")

    def goes_on(self, more: int = 10) -> None:
        """Wait until it has asked that often again."""
        wanted = self._asked() + more
        until(lambda: True if self._asked() >= wanted else None, 60, "more answers")

    def _asked(self) -> int:
        return self.answers + len(self.failures)

    def end(self) -> None:
        self._over.set()
        self.join(60)


@dataclass
class Roll:
    """The stack before and after, and what was heard meanwhile."""

    new: dict[str, str]
    """References of the new images, by name; ``team`` is that of the team with a package."""
    before: dict[str, dict[str, Any]]
    """Pods by what they are, and the migration."""
    ada: Person
    kernel: Kernel
    lost: list[str] = field(default_factory=list[str])
    """Of what was logged and acknowledged."""
    kernels: Watch | None = None
    tracking: Watch | None = None
    printed: list[str] = field(default_factory=list[str])
    """By a cell that ran all the time."""


def next_version(bed: Testbed) -> dict[str, str]:
    """Change the images' folders as new versions do; the references that this makes, by name."""
    project = bed.platform.project
    for name in ("infra", "images"):
        (project / name).unlink()
        shutil.copytree(paths.ROOT / name, project / name)
    # Tags of operators' images follow what is built there, beside the folders of others.
    (project / "rig").symlink_to(paths.ROOT / "rig")
    for name in CHANGED:
        with (project / "images" / name / "requirements.in").open("a") as file:
            file.write("# The next version.\n")
    asked = subprocess.run(
        [sys.executable, "-c", TAGS], cwd=project, capture_output=True, text=True, check=True
    )
    return {name: f"{LOADED}/{tag}" for name, tag in json.loads(asked.stdout).items()}


def load(bed: Testbed, new: dict[str, str], folder: Path) -> None:
    """Put the new images into the node; the team's is built as `make up` builds it."""
    team = images.team("notebook", [PACKAGE])
    built = images.ensure(team, folder / "team.log")
    bed.rig.load([built])
    for name, reference in new.items():
        old = built.reference if name == "team" else images.archive_of(name).reference
        make_next(bed, old, reference, folder)


def give_package(bed: Testbed) -> None:
    file = bed.platform.config
    document = yaml.safe_load(file.read_text())
    tenant = document["config"]["spillway:tenants"][OTHER]
    tenant |= {"requirements": [PACKAGE], "profiles": ["small"]}
    file.write_text(yaml.safe_dump(document))


def state(bed: Testbed) -> dict[str, dict[str, Any]]:
    """The one pod of each part of the hub, ada's, and the migration job."""
    chosen = {
        role: bed.get("pods", "-l", f"{HUB},app.kubernetes.io/component={role}")
        for role in ("hub", "proxy", "tracking-ui")
    }
    chosen["ada"] = bed.get("pods", "-n", TENANT, "--field-selector=metadata.name=notebook-ada")
    chosen["migration"] = bed.get("jobs", "-l", "app.kubernetes.io/component=migration")
    assert all(len(found) == 1 for found in chosen.values()), {k: len(v) for k, v in chosen.items()}
    return {name: found[0] for name, found in chosen.items()}


def uid(thing: dict[str, Any]) -> str:
    return thing["metadata"]["uid"]


def image_of(thing: dict[str, Any]) -> str:
    spec = thing["spec"]
    return spec.get("template", thing)["spec"]["containers"][0]["image"]


def asks_kernel(kernel: Kernel) -> Callable[[], None]:
    """Two calls through the proxy, and the second one to the kernel itself."""
    person = kernel.person

    def ask() -> None:
        path = f"kernels/{kernel.id}"
        answer = person.jupyter("GET", person.home, path, allow_redirects=False)
        assert answer.status_code == 200, told(answer)
        before = int(kernel.run("n += 1; print(n)", seconds=30))
        assert int(kernel.run("print(n)", seconds=30)) == before

    return ask


def asks_tracking(bed: Testbed) -> Callable[[], None]:
    headers = bed.credentials()
    url = f"{bed.url}/api/2.0/mlflow/experiments/search?max_results=1"

    def ask() -> None:
        said = []
        for _ in range(PATIENCE):
            try:
                answer = requests.get(url, headers=headers, timeout=10)
            except requests.RequestException as error:
                said.append(repr(error))
            else:
                if answer.status_code == 200:
                    return
                said.append(told(answer))
            time.sleep(1)
        raise AssertionError(f"{PATIENCE} times: {said}")

    return ask


@pytest.fixture(scope="module")
def roll(bed: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Roll]:
    """New images of hub, tracking server and notebooks in one `up`, while people work."""
    folder = tmp_path_factory.mktemp("roll")
    bed.whole()
    ada = bed.person("ada")
    ada.end()
    ada.start(profile="small")
    ada.ready()
    ada.write("kept.txt", "still here")
    kernel, busy = ada.kernel(), ada.kernel()
    kernel.run("n, kept = 0, 'in memory'")
    roll = Roll(new=next_version(bed), before=state(bed), ada=ada, kernel=kernel)
    load(bed, roll.new, folder)
    give_package(bed)
    with pytest.MonkeyPatch.context() as patch:
        client = logging_in(bed, patch)
        with writing(bed, client, folder) as writer:
            roll.kernels, roll.tracking = Watch(asks_kernel(kernel)), Watch(asks_tracking(bed))
            cell = threading.Thread(
                target=lambda: roll.printed.extend(busy.run(LONG, 600).split()), daemon=True
            )
            for thread in (roll.kernels, roll.tracking, cell):
                thread.start()
            writer.goes_on()

            stack.up(bed.stack)

            bed.whole()
            until(lambda: (ada.server() or {}).get("ready") or None, 60, "the server is known")
            for watch in (roll.kernels, roll.tracking):
                watch.goes_on()
                watch.end()
            kernel.run("open('/tmp/over', 'w').close()")
            cell.join(60)
            writer.goes_on()
            writer.end()
            roll.lost = writer.lost(bed, client)
    yield roll
    ada.end()


@pytest.mark.timeout(1200)  # with all of `roll`, and the start of the rig if it comes first
def test_a_new_version_migrates_before_its_first_server_starts_and_loses_nothing(
    bed: Testbed, roll: Roll
) -> None:
    new, old = roll.new["mlflow"], images.archive_of("mlflow").reference
    job = state(bed)["migration"]
    assert uid(job) != uid(roll.before["migration"])
    assert image_of(job) == new != old
    assert job["status"]["succeeded"] == 1
    servers = [p for p in bed.get("pods") if p["metadata"]["name"] in bed.pods("mlflow")]
    assert [image_of(server) for server in servers] == [new, new]
    created = min(server["metadata"]["creationTimestamp"] for server in servers)
    assert job["status"]["completionTime"] <= created
    others = [*bed.get("statefulsets"), *bed.get("jobs")]
    assert [o["metadata"]["name"] for o in others if image_of(o) == new] == [
        job["metadata"]["name"]
    ]
    assert roll.lost == []
    assert roll.tracking is not None
    assert roll.tracking.failures == []
    assert roll.tracking.answers > 10


def test_the_hub_is_new_and_the_proxy_is_left_alone(bed: Testbed, roll: Roll) -> None:
    after = state(bed)
    for part in ("hub", "tracking-ui"):
        assert image_of(after[part]) == roll.new["hub"] != image_of(roll.before[part])
        name = after[part]["metadata"]["name"]
        assert bed.execute(name, "cat", f"/{MARK}").strip() == roll.new["hub"]
    assert uid(after["proxy"]) == uid(roll.before["proxy"])


def test_a_running_server_answers_all_the_time_and_keeps_what_is_in_its_memory(
    bed: Testbed, roll: Roll
) -> None:
    assert roll.kernels is not None
    assert roll.kernels.failures == []
    assert roll.kernels.answers > 10
    assert int(roll.kernel.run("print(n)")) == roll.kernels.answers
    assert roll.kernel.run("print(kept)") == "in memory\n"
    assert roll.printed == [str(n) for n in range(len(roll.printed))]
    assert len(roll.printed) > 10
    assert uid(state(bed)["ada"]) == uid(roll.before["ada"])
    assert image_of(state(bed)["ada"]) == images.archive_of("notebook").reference
    assert roll.ada.read("kept.txt") == "still here"


def test_a_second_up_changes_nothing(bed: Testbed, roll: Roll) -> None:
    stack.up(bed.stack, extra=["--expect-no-changes"])


def test_a_server_that_starts_afterwards_has_the_new_image_and_the_old_home(
    bed: Testbed, roll: Roll
) -> None:
    roll.ada.end()
    assert roll.ada.start(profile="small").status_code in (201, 202)
    roll.ada.ready()
    assert image_of(state(bed)["ada"]) == roll.new["notebook"]
    assert roll.ada.run(f"print(open('/{MARK}').read())").strip() == roll.new["notebook"]
    assert roll.ada.read("kept.txt") == "still here"


@pytest.fixture
def alan(bed: Testbed) -> Iterator[Person]:
    """Somebody of the other team, without a server before and after."""
    person = bed.person("alan")
    person.end()
    yield person
    person.end()


def test_a_teams_packages_are_there_for_the_team_alone(roll: Roll, alan: Person) -> None:
    answer = alan.start(profile="small")
    assert answer.status_code in (201, 202), told(answer)
    alan.ready()
    assert alan.run(IMPORT).strip() == PACKAGE.partition("==")[2]
    assert alan.run(f"print(open('/{MARK}').read())").strip() == roll.new["team"]
    if roll.ada.server() is None:
        roll.ada.start(profile="small")
        roll.ada.ready()
    with pytest.raises(NotDone, match=f"ModuleNotFoundError: No module named '{MODULE}'"):
        roll.ada.run(IMPORT)
