"""The builder takes the first tool that works, builds once per content, and fails in one line."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import infra.images
from infra.images import LOADED, content_tag, operator_image, team_image
from rig import base_image, cluster, image_tools, images, toolchain

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SPILLWAY_BASE_IMAGE", raising=False)
    monkeypatch.setattr(image_tools, "PIP_CONFIG", tmp_path / "absent")
    images.choose_builder.cache_clear()
    images._base.cache_clear()
    yield
    images.choose_builder.cache_clear()
    images._base.cache_clear()


@pytest.fixture
def tools(monkeypatch, tmp_path):
    """Stand-ins on PATH: a name, and the shell code that answers a call."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: str(folder / name) if name in made else None)
    assert which("sh")
    made = set()

    def make(name, code="exit 0"):
        script = folder / name
        script.write_text(f'#!/bin/sh\necho "$0 $*" >> {tmp_path}/calls\n{code}\n')
        script.chmod(0o755)
        made.add(name)

    make.calls = lambda: (tmp_path / "calls").read_text().splitlines()
    return make


SAVING = 'case "$1" in save) shift; echo archive > "$2";; esac'


@pytest.mark.parametrize(
    ("installed", "chosen"),
    [
        ({"docker": "exit 0", "podman": "exit 0", "buildah": "exit 0"}, "docker"),
        ({"docker": "exit 1", "podman": "exit 0", "buildah": "exit 0"}, "podman"),
        ({"docker": "exit 1", "podman": "exit 1", "buildah": "exit 0"}, "buildah"),
        ({"buildah": "exit 0"}, "buildah"),
    ],
    ids=["an engine first", "a docker client without an engine does not count", "two dead", "one"],
)
def test_the_first_tool_that_works_builds(installed, chosen, tools):
    for name, code in installed.items():
        tools(name, code)

    assert images.choose_builder().tool == chosen


def test_without_any_tool_the_error_says_what_to_install(tools):
    with pytest.raises(images.ImageError, match=r"no container builder.*install docker, podman"):
        images.choose_builder()


def test_an_image_is_built_once_per_content(tools, tmp_path):
    tools("docker", SAVING)

    first = images.ensure("postgres", tmp_path / "log")
    calls = len(tools.calls())
    again = images.ensure("postgres", tmp_path / "log")

    assert first == again == images.archive_of("postgres")
    assert first.path.read_text() == "archive\n"
    assert first.reference.startswith("localhost/spillway/postgres:")
    assert first.reference.endswith(first.path.stem.removeprefix("postgres-"))
    assert len(tools.calls()) == calls


def test_a_failed_build_is_one_line_that_names_the_log_and_leaves_no_archive(tools, tmp_path):
    tools("docker", 'case "$1" in build) echo broken here; exit 3;; esac')
    log = tmp_path / "logs" / "image.log"

    with pytest.raises(images.ImageError) as error:
        images.ensure("postgres", log)

    assert str(log) in str(error.value)
    assert "\n" not in str(error.value)
    assert "broken here" in log.read_text()
    assert not list(tmp_path.glob("cache/spillway/images/*.tar*"))


def test_a_save_that_is_cut_short_is_not_taken_for_an_archive(tools, tmp_path):
    tools("docker", 'case "$1" in save) shift; echo half > "$2"; exit 1;; esac')

    with pytest.raises(images.ImageError, match="saving image postgres failed"):
        images.ensure("postgres", tmp_path / "log")

    assert not list(tmp_path.glob("cache/spillway/images/*.tar*"))
    assert not list(tmp_path.glob("cache/spillway/images/*.partial"))


def test_the_programs_given_are_put_into_the_build_context(tools, tmp_path):
    keep = tmp_path / "seen"
    tools("docker", f'case "$1" in build) for c; do :; done; cp -r "$c" {keep};; esac\n{SAVING}')
    programs = {name: tmp_path / name for name in ("versitygw", "make-bucket")}
    for file in programs.values():
        file.write_text(f"program {file.name}")

    images.ensure("object-store", tmp_path / "log", programs)

    assert (keep / "bin" / "versitygw").read_text() == "program versitygw"
    assert (keep / "bin" / "make-bucket").read_text() == "program make-bucket"
    assert (keep / "Dockerfile").is_file()


def test_without_go_and_without_programs_the_error_says_so(tools, tmp_path):
    tools("docker", SAVING)

    with pytest.raises(images.ImageError, match="needs versitygw: install Go"):
        images.ensure("object-store", tmp_path / "log")


def test_a_base_that_the_user_names_is_used_without_asking_a_registry(tools, tmp_path, monkeypatch):
    tools("docker", SAVING)
    monkeypatch.setenv("SPILLWAY_BASE_IMAGE", "registry.example.com/debian:trixie")

    images.ensure("postgres", tmp_path / "log")

    build = next(call for call in tools.calls() if " build " in call)
    assert "--build-arg BASE=registry.example.com/debian:trixie" in build
    assert not any("manifest" in call for call in tools.calls())


def test_the_public_base_is_used_where_a_registry_answers(tools, tmp_path):
    tools("docker", f'[ "$1" != inspect ] || exit 1\n{SAVING}')

    images.ensure("postgres", tmp_path / "log")

    assert any(f"BASE={base_image.PUBLIC}" in call for call in tools.calls())


def test_without_registry_and_bootstrap_the_error_says_what_to_install(
    tools, tmp_path, monkeypatch
):
    tools("docker", 'case "$1" in inspect|manifest) exit 1;; esac')
    monkeypatch.setattr(base_image, "can_bootstrap", lambda: False)

    with pytest.raises(images.ImageError, match=r"install mmdebstrap.*SPILLWAY_BASE_IMAGE"):
        images.ensure("postgres", tmp_path / "log")


def test_what_this_machine_trusts_is_lent_to_a_build_and_never_copied(tmp_path, monkeypatch):
    config, trust = tmp_path / "pip.conf", tmp_path / "ca.crt"
    for file in (config, trust):
        file.write_text("here")
    monkeypatch.setattr(image_tools, "PIP_CONFIG", config)
    monkeypatch.setattr(image_tools, "TRUST", trust)
    context = Path("context")

    for tool in ("docker", "podman", "buildah"):
        command = " ".join(images.Builder(tool=tool).build(context, "name:tag", "base"))
        assert f"--secret id=pip.conf,src={config}" in command
        assert (f"--volume={trust}:{trust}:ro" in command) == (tool != "docker")
    config.unlink()
    command = " ".join(images.Builder(tool="podman").build(context, "name:tag", "base"))
    assert "--volume" not in command
    assert "--secret" not in command


def test_the_base_takes_nothing_of_the_host_but_debians_keys():
    command = " ".join(base_image.bootstrap_command(Path("base.tar")))

    assert "--mode=root" in command
    for leftover in ("resolv.conf", "hostname", "/var/log", "/var/lib/apt/lists"):
        assert leftover in command
    assert "sources.list" not in command
    assert "--aptopt" not in command


def test_an_addons_tag_follows_its_programs_source(tmp_path, monkeypatch):
    module = tmp_path / "addons"
    module.mkdir()
    (module / "go.mod").write_text("module addons\n")
    folder = tmp_path / "images" / "pause"
    folder.mkdir(parents=True)
    (folder / "Dockerfile").write_text("FROM scratch\n")
    image = images.Image(name="pause", folder=folder, packages={"pause": "./p"}, module=module)
    before = image.tag

    (module / "go.mod").write_text("module addons\n\ngo 1.26\n")

    assert image.tag != before


def test_an_image_built_on_another_has_it_built_first_and_by_name(tools, tmp_path, monkeypatch):
    tools("docker", f'[ "$1" != inspect ] || exit 0\n{SAVING}')
    monkeypatch.setenv("SPILLWAY_BASE_IMAGE", "registry.example.com/debian:trixie")

    images.ensure("notebook-spark", tmp_path / "log")

    first, second = [call for call in tools.calls() if " build " in call]
    below = images.archive_of("notebook")
    assert below.path.is_file()
    assert f"--tag {below.reference} --build-arg BASE=registry.example.com/debian" in first
    assert f"--build-arg BASE={below.reference}" in second


@pytest.mark.parametrize(
    ("tool", "asked", "loaded"),
    [
        ("docker", "exit 0", None),
        ("docker", "exit 1", "load --input"),
        ("podman", "exit 1", "load --input"),
        ("buildah", "exit 1", "pull --quiet docker-archive:"),
    ],
)
def test_a_base_that_is_built_is_loaded_only_where_the_builder_lost_it(
    tool, asked, loaded, tools, tmp_path
):
    saving = f'{SAVING}\nfor last; do :; done\ncase "$*" in *push*) rest=${{last#*:}}; echo > "${{rest%%:*}}";; esac'  # noqa: E501
    tools(tool, f'case "$*" in *inspect*) {asked};; esac\n{saving}')
    below = images.archive_of("notebook")
    below.path.parent.mkdir(parents=True)
    below.path.write_text("archive")

    images.ensure("notebook-spark", tmp_path / "log")

    calls = tools.calls()
    assert not any(f"--tag {below.reference}" in call for call in calls)
    assert [call for call in calls if f"{loaded}" in call and str(below.path) in call] == (
        [call for call in calls if str(below.path) in call]
    )
    assert any(str(below.path) in call for call in calls) == (loaded is not None)


def test_a_teams_image_is_a_notebook_with_its_packages(tools, tmp_path):
    keep = tmp_path / "seen"
    tools("docker", f'case "$1" in build) for c; do :; done; cp -rT "$c" {keep};; esac\n{SAVING}')
    image = images.team("notebook", ["xgboost==3.1.1", "LightGBM==4.6.0"])

    archive = images.ensure(image, tmp_path / "log")

    assert archive.reference == f"{LOADED}/" + team_image(
        "notebook", ["lightgbm==4.6.0", "xgboost==3.1.1"]
    )
    assert (keep / "requirements.txt").read_text() == "lightgbm==4.6.0\nxgboost==3.1.1\n"
    assert f"BASE={images.archive_of('notebook').reference}" in tools.calls()[-2]
    assert archive.path.is_file()


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """The toolchain has made everything; ``asked`` is what was asked of it."""
    folder = tmp_path / "made"
    folder.mkdir()
    for name in ("pilot-agent", "envoy_bootstrap.json"):
        (folder / name).write_text(f"made {name}")
    asked = []

    def ensure_all(only=()):
        asked.extend(only)
        return {"pilot-agent": folder / "pilot-agent"}

    monkeypatch.setattr(toolchain, "ensure_all", ensure_all)
    return asked


def test_an_operator_is_made_of_what_the_toolchain_builds(tools, tmp_path, tool):
    keep = tmp_path / "seen"
    tools("docker", f'case "$1" in build) for c; do :; done; cp -rT "$c" {keep};; esac\n{SAVING}')

    archive = images.ensure("istio-proxy", tmp_path / "log")

    assert archive.reference == f"{LOADED}/{operator_image('istio-proxy')}"
    assert set(tool) == {"pilot-agent"}
    assert (keep / "bin" / "pilot-agent").read_text() == "made pilot-agent"
    assert (keep / "bin" / "envoy_bootstrap.json").read_text() == "made envoy_bootstrap.json"


def test_an_operator_whose_archive_is_there_builds_nothing(tmp_path, tool):
    archive = images.archive_of("istio-proxy")
    archive.path.parent.mkdir(parents=True)
    archive.path.write_text("archive")

    assert cluster.build_images(["istio-proxy"], {}) == {"istio-proxy": archive}
    assert tool == []


@pytest.mark.parametrize(
    ("settings", "built"),
    [
        ({}, False),
        ({"spillway:domain": "example.com"}, False),
        ({"spillway:domain": "example.com", "spillway:images": {"operators": "official"}}, False),
        ({"spillway:images": {"operators": "built"}}, False),
        ({"spillway:domain": "example.com", "spillway:images": {"operators": "built"}}, True),
    ],
)
def test_operators_are_built_only_where_they_run_and_cannot_be_pulled(settings, built):
    wanted = images.wanted(settings)

    assert set(images.operator_images()) & set(wanted) == set(images.operator_images() * built)
    assert not set(images.queue_images()) & set(wanted)


def test_the_queue_is_built_for_a_cluster_with_pools():
    pools = {"spillway:cluster": {"pools": {"a": {"tier": "onprem"}}}}

    assert not set(images.queue_images()) & set(images.wanted(pools))
    built = images.wanted({**pools, "spillway:images": {"operators": "built"}})
    assert set(images.queue_images()) <= set(built)


@pytest.mark.parametrize("change", ["istio/go.mod", "operators/istio-proxy/Dockerfile"])
def test_an_operators_tag_follows_its_folder_and_its_programs_source(change, tmp_path, monkeypatch):
    for file in ("go/istio/go.mod", "operators/istio-proxy/Dockerfile"):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text("before")
    monkeypatch.setattr(infra.images, "RIG", tmp_path)
    before = operator_image("istio-proxy")

    next(tmp_path.glob(f"**/{change}")).write_text("after")

    assert before.startswith("istio-proxy:")
    assert operator_image("istio-proxy") != before


@pytest.mark.parametrize(
    ("tenant", "built"),
    [
        ({}, []),
        ({"requirements": ["a==1"]}, ["notebook-team", "notebook-spark-team"]),
        ({"requirements": ["a==1"], "profiles": ["small"]}, ["notebook-team"]),
        (
            {"requirements": ["a==1"], "profiles": ["small", "spark"]},
            ["notebook-team", "notebook-spark-team"],
        ),
    ],
)
def test_a_teams_images_are_those_that_its_profiles_run(tenant, built):
    people = {"spillway:login": {"provider": "dummy"}, "spillway:tenants": {"vision": tenant}}
    wanted = images.wanted(people)

    assert [one.name for one in wanted if isinstance(one, images.Image)] == built


def test_a_team_without_packages_runs_the_image_itself():
    assert images.team("notebook-spark", []) == images.find("notebook-spark")
    assert team_image("notebook-spark", []) == f"notebook-spark:{content_tag('notebook-spark')}"


@pytest.mark.parametrize(
    "line", ["xgboost", "xgboost>=3", "--index-url=x", "a==1 ; x", "a @ x", "a==1\nb==2", ""]
)
def test_a_teams_package_that_is_not_pinned_is_an_error_that_quotes_it(line):
    with pytest.raises(ValueError, match="is no pinned requirement: write name==version"):
        team_image("notebook", [line])


def test_what_an_image_is_built_on_changes_its_tag(tmp_path):
    for name, base in (("below", "docker.io/x"), ("above", "spillway/below")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Dockerfile").write_text(f"ARG BASE={base}\nFROM ${{BASE}}\n")
    below, above = content_tag("below", tmp_path), content_tag("above", tmp_path)

    (tmp_path / "below" / "file").write_text("new")

    assert content_tag("below", tmp_path) != below
    assert content_tag("above", tmp_path) != above


# -- what stays on disk ---------------------------------------------------------------------------

DAY = 24 * 3600


def archives(tmp_path, image="postgres", **ages):
    """Files of archives in the store, each last used so many seconds ago."""
    store = tmp_path / "cache" / "spillway" / "images"
    store.mkdir(parents=True, exist_ok=True)
    made = {}
    for digit, age in ages.items():
        file = store / f"{image}-{digit * 16}.tar"
        file.write_text("archive")
        os.utime(file, (time.time() - age, time.time() - age))
        made[digit] = file
    return made


def test_a_build_leaves_two_archives_of_its_image_and_all_of_others(tools, tmp_path):
    tools("docker", SAVING)
    old = archives(tmp_path, a=3 * DAY, b=DAY, c=2 * DAY)
    others = archives(tmp_path, "postgres-tools", a=9 * DAY, b=8 * DAY, c=7 * DAY)

    new = images.ensure("postgres", tmp_path / "log").path

    left = set(new.parent.glob("*.tar"))
    assert left == {new, old["b"], *others.values()}


def test_what_somebody_may_be_reading_stays(tools, tmp_path):
    tools("docker", SAVING)
    old = archives(tmp_path, a=60, b=600, c=3000, d=2 * 3600)

    new = images.ensure("postgres", tmp_path / "log").path

    assert set(new.parent.glob("*.tar")) == {new, old["a"], old["b"], old["c"]}


def test_an_archive_that_is_used_again_is_no_longer_old(tools, tmp_path):
    tools("docker", SAVING)
    current = images.archive_of("postgres").path
    archives(tmp_path, a=DAY, b=DAY)
    current.write_text("archive")
    os.utime(current, (1, 1))

    images.ensure("postgres", tmp_path / "log")

    assert time.time() - current.stat().st_mtime < 60


def test_the_archive_that_an_image_is_built_on_is_used_by_that(tools, tmp_path):
    tools("docker", SAVING)
    below = images.archive_of("notebook").path
    below.parent.mkdir(parents=True)
    below.write_text("archive")
    os.utime(below, (1, 1))

    images.ensure("notebook-spark", tmp_path / "log")

    assert time.time() - below.stat().st_mtime < 60


def test_all_that_a_stack_needs_is_in_use_before_any_of_it_is_built(tools, tmp_path):
    """Else the first of many teams' images to be built would end the archives of the others."""
    tools("docker", SAVING)
    teams = [images.team("notebook", [f"a=={n}"]) for n in range(5)]
    store = images.archive_of("notebook").path.parent
    store.mkdir(parents=True)
    for team in ("notebook", *teams[1:]):
        file = images.archive_of(team).path
        file.write_text("archive")
        os.utime(file, (1, 1))

    cluster.build_images(teams, {})

    assert all(images.archive_of(team).path.is_file() for team in teams)
    assert len([call for call in tools.calls() if " build " in call]) == 1


LISTED = """
case "$*" in
*" images "*) printf '%s\n' localhost/spillway/postgres:old localhost/spillway/mlflow:old \
    localhost/spillway/postgres-tools:old "<none>:<none>";;
*push*) for last; do :; done; rest=${last#*:}; echo archive > "${rest%%:*}";;
esac
"""


def test_a_store_of_our_own_forgets_the_images_other_tags_alone(tools, tmp_path, monkeypatch):
    tools("buildah", LISTED)
    monkeypatch.setenv("SPILLWAY_BASE_IMAGE", "registry.example.com/debian:trixie")

    images.ensure("postgres", tmp_path / "log")

    removed = [call.partition(" rmi ")[2] for call in tools.calls() if " rmi " in call]
    assert removed == ["localhost/spillway/postgres:old"]


@pytest.mark.parametrize("tool", ["docker", "podman"])
def test_a_store_that_others_use_is_left_alone(tool, tools, tmp_path):
    tools(tool, SAVING)

    images.ensure("postgres", tmp_path / "log")

    assert not any("rmi" in call for call in tools.calls())


def test_an_image_that_the_builder_keeps_ends_no_build(tools, tmp_path, monkeypatch):
    tools("buildah", LISTED + 'case "$*" in *rmi*) exit 125;; esac\n')
    monkeypatch.setenv("SPILLWAY_BASE_IMAGE", "registry.example.com/debian:trixie")

    assert images.ensure("postgres", tmp_path / "log").path.is_file()


def test_an_unknown_image_is_an_error_that_lists_the_known():
    with pytest.raises(images.ImageError, match=r"no image named 'mlfow'; there are .*mlflow"):
        images.find("mlfow")


def test_the_builder_needs_no_engine_of_pulumi():
    code = "import sys, rig.images; sys.exit('pulumi' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)

    assert done.returncode == 0
