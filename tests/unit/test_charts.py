"""Other projects' manifests: all of them are locked, and what is not what is locked is refused."""

import json
import re
import subprocess
import sys
from pathlib import Path

import builders
import pytest
import yaml

from infra import charts
from infra.images import OPERATORS
from infra.queues import DEFINITIONS
from rig import toolchain

ENTRIES = {**charts.read().charts, **charts.read().manifests}
each_entry = pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES.keys())
SUM = "h1:" + "A" * 43 + "="


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "spillway" / "charts"


@pytest.fixture
def module(tmp_path):
    """A project's repository, as Go keeps it: it can only be read."""
    folder = tmp_path / "module"
    files = {
        "chart/Chart.yaml": "name: one\nversion: 1.0.0\nappVersion: 1.0.0\n",
        "chart/values.yaml": "a: 1\n",
        "chart/templates/a.yaml": "kind: A\n",
        "chart/README.md": "not wanted\n",
        "plain/role.yaml": "rules: [{verbs: [get]}]\n",
        "plain/patch.yaml": "- {op: replace, path: /rules/0/verbs, value: [list]}\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        (folder / name).chmod(0o444)
    return folder


@pytest.fixture
def go(tmp_path, monkeypatch, module):
    """A stand-in for Go that tells what it is told to tell, and counts."""
    answer = {"Dir": str(module), "Sum": SUM}
    script = tmp_path / "bin" / "go"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\ncat {tmp_path}/answer\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:/usr/bin:/bin")

    def tell(**changes):
        (tmp_path / "answer").write_text(json.dumps({**answer, **changes}))

    tell()
    tell.calls = lambda: (tmp_path / "calls").read_text().splitlines()
    return tell


def digest(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return charts.digest_of(folder)


@pytest.fixture
def locked(tmp_path, go, monkeypatch):
    """A lock of one chart and one manifest in the place of the real one."""
    chart = {
        "Chart.yaml": "name: one\nversion: 1.2.3\nappVersion: 1.2.3\n",
        "values.yaml": "a: 1\n",
        "templates/a.yaml": "kind: A\n",
    }
    role = {"role.yaml": json.dumps({"rules": [{"verbs": ["list"]}]}, indent=1) + "\n"}
    source = charts.Source(
        version="v1.2.3",
        sum=SUM,
        release="1.2.3",
        licence="Apache-2.0",
        source="https://example.com",
        images={"pilot": "example.com/pilot:1.2.3"},
    )
    one = charts.Content(
        module="example.com/m",
        folder="chart",
        files=["Chart.yaml", "values.yaml", "templates"],
        digest=digest(tmp_path / "expected" / "chart", chart),
    )
    plain = charts.Content(
        module="example.com/m",
        folder="plain",
        files=["role.yaml"],
        patch="plain/patch.yaml",
        digest=digest(tmp_path / "expected" / "role", role),
    )
    content = charts.Lock(
        modules={"example.com/m": source}, charts={"one": one}, manifests={"role": plain}
    )
    monkeypatch.setattr(charts, "read", lambda _=None: content)
    return content


# -- the lock --------------------------------------------------------------------------------------


def test_the_lock_names_what_a_stack_needs():
    assert set(charts.read().charts) == {
        *("istio-base", "istiod", "istio-gateway", "cert-manager", "kueue"),
    }
    queue = {f"kueue-{kind}" for kind in DEFINITIONS}
    assert set(charts.read().manifests) == {"seldon-crd", "seldon-role", *queue}


@each_entry
def test_an_entry_is_of_a_known_module_and_takes_something(entry):
    assert entry.module in charts.read().modules
    assert entry.files
    assert entry.digest != "0" * 64


@pytest.mark.parametrize("name", charts.read().charts)
def test_a_chart_has_what_helm_asks_for(name):
    files = charts.read().charts[name].files
    assert {"Chart.yaml", "values.yaml"} <= set(files)
    assert any(file.split("/")[0] == "templates" for file in files)


@pytest.mark.parametrize("name", charts.read().manifests)
def test_a_manifest_is_one_file(name):
    assert len(charts.read().manifests[name].files) == 1


@pytest.mark.parametrize("source", charts.read().modules.values(), ids=charts.read().modules)
def test_a_module_says_where_it_is_read_and_under_which_licence(source):
    assert source.source.startswith("https://github.com/")
    assert source.licence == "Apache-2.0"
    assert source.release.lstrip("v")[0].isdigit()


@pytest.mark.parametrize("name", OPERATORS)
def test_what_a_rig_builds_is_the_version_of_the_manifests(name):
    folder = toolchain.GO / OPERATORS[name]
    (module,) = [m for m, source in charts.read().modules.items() if name in source.images]
    source = charts.read().modules[module]

    required = (folder / "go.mod").read_text()
    assert re.search(rf"^(require )?\s*{module} {re.escape(source.version)}$", required, re.M)
    assert f"{module} {source.version} {source.sum}\n" in (folder / "go.sum").read_text()


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator_that_a_rig_builds_has_an_official_image(name):
    assert re.fullmatch(r"(docker|quay|registry\.k8s)\.io/[a-z/0-9-]+:v?\d+\.\d+\.\d+",
                        charts.official_image(name))  # fmt: skip


def test_programs_report_the_release_of_the_manifests():
    releases = {s.release.removeprefix("v") for s in charts.read().modules.values()}

    assert {toolchain.ISTIO, toolchain.CERT_MANAGER, toolchain.KUEUE} <= releases


# -- what is fetched -------------------------------------------------------------------------------


def test_a_chart_is_what_is_wanted_of_it_with_its_release_filled_in(locked, store):
    folder = charts.chart("one")

    assert folder.parent == store
    assert sorted(str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file()) == [
        "Chart.yaml",
        "templates/a.yaml",
        "values.yaml",
    ]
    assert (folder / "Chart.yaml").read_text() == "name: one\nversion: 1.2.3\nappVersion: 1.2.3\n"


def test_a_manifest_is_a_file_with_its_patch_applied(locked):
    file = charts.manifest("role")

    assert file.name == "role.yaml"
    assert yaml.safe_load(file.read_text()) == {"rules": [{"verbs": ["list"]}]}


def test_what_is_there_is_not_fetched_again(locked, go, monkeypatch):
    charts.fetch_all()
    before = go.calls()
    monkeypatch.setenv("PATH", "")

    assert charts.chart("one").is_dir()
    assert charts.manifest("role").is_file()
    assert go.calls() == before


def test_a_fetch_leaves_nothing_else_behind(locked, store):
    charts.fetch_all()

    assert {folder.name.split("-")[0] for folder in store.iterdir()} == {"one", "role"}


def test_another_content_lies_elsewhere(locked, store):
    first = charts.chart("one")
    other = locked.charts["one"].model_copy(update={"digest": "1" * 64})

    assert first.name.startswith("one-v1.2.3-")
    assert first.name.rpartition("-")[2] == locked.charts["one"].digest[:16]
    with pytest.raises(charts.ChartError, match="is not what"):
        charts._ensure("one", other, locked)


def test_two_at_once_both_get_it(locked, module):
    folder = charts.chart("one")
    elsewhere = folder.rename(folder.with_name("aside"))
    copy = charts._copy

    def while_somebody_else_is_faster(*arguments):
        copy(*arguments)
        elsewhere.rename(folder)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(charts, "_copy", while_somebody_else_is_faster)
        assert charts.chart("one") == folder
    assert (folder / "values.yaml").is_file()


# -- what is refused -------------------------------------------------------------------------------


def test_a_module_with_another_sum_is_refused(locked, go, store):
    go(Sum="h1:" + "B" * 43 + "=")

    with pytest.raises(charts.ChartError, match=r"is not what .*lock.yaml says: its sum is h1:BB"):
        charts.chart("one")
    assert not store.exists() or not list(store.iterdir())


def test_content_with_another_digest_is_refused(locked, module, store):
    (module / "chart" / "values.yaml").chmod(0o644)
    (module / "chart" / "values.yaml").write_text("a: 2\n")

    with pytest.raises(charts.ChartError, match=r"one of example\.com/m v1\.2\.3 is not"):
        charts.chart("one")
    assert not [folder for folder in store.iterdir() if folder.name.startswith("one")]


def test_what_cannot_be_had_is_one_line_that_says_where_to_look(locked, go):
    go(Error="dial tcp: no such host\nmore")

    with pytest.raises(charts.ChartError, match="look at the network and GOPROXY") as error:
        charts.chart("one")
    assert "\n" not in str(error.value)
    assert "no such host" in str(error.value)


def test_without_go_the_error_says_what_to_install(locked, monkeypatch):
    monkeypatch.setenv("PATH", "")

    with pytest.raises(charts.ChartError, match=r"install Go 1\.26") as error:
        charts.chart("one")
    assert "\n" not in str(error.value)


def test_a_broken_go_is_one_line_too(locked, tmp_path):
    (tmp_path / "answer").write_text("")

    with pytest.raises(charts.ChartError, match="cannot be fetched") as error:
        charts.chart("one")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("ask", "known"), [(charts.chart, "istiod"), (charts.manifest, "seldon")])
def test_an_unknown_name_is_an_error_that_lists_the_known(ask, known):
    with pytest.raises(charts.ChartError, match=f"has no 'istoid'; it has .*{known}"):
        ask("istoid")


def test_a_lock_that_is_wrong_is_one_line_that_says_where(tmp_path):
    file = tmp_path / "lock.yaml"
    file.write_text("modules: 1\n")

    with pytest.raises(charts.ChartError, match=r"lock\.yaml: modules: ") as error:
        charts.read(file)
    assert "\n" not in str(error.value)


def test_a_patch_replaces_and_does_nothing_else(locked, module, store):
    for patch in ("op: add, path: /rules/0/verbs", "op: replace, path: /rules/0/other"):
        (module / "plain" / "patch.yaml").chmod(0o644)
        (module / "plain" / "patch.yaml").write_text(f"- {{{patch}, value: 1}}\n")
        with pytest.raises(charts.ChartError, match="only what is there can be replaced"):
            charts.manifest("role")


def test_the_program_does_not_import_the_rig():
    code = (
        "import sys, infra.charts; sys.exit(any(m.partition('.')[0] == 'rig' for m in sys.modules))"
    )

    subprocess.run([sys.executable, "-c", code], cwd=Path(builders.ROOT), check=True)
