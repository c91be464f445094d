"""The rig's plans: addresses, names and what it decides to build; nothing is started."""

import dataclasses
import itertools
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml

from rig import paths, plugin_home, toolchain
from rig.control_plane import PROGRAMS
from rig.errors import RigError
from rig.node import config, pki
from rig.node.layout import Layout
from rig.platform import Platform


def test_the_ranges_of_a_rig_lie_in_its_network_and_do_not_overlap():
    layout = Layout.of("dev")
    ranges = [layout.link, layout.pods, layout.services]
    assert all(part.subnet_of(layout.network) for part in ranges)
    assert not any(a.overlaps(b) for a, b in itertools.combinations(ranges, 2))


def test_a_rig_beside_dev_has_another_network_and_keeps_it():
    assert not Layout.of("test").network.overlaps(Layout.of("dev").network)
    assert Layout.of("test").network == Layout.of("test").network


@pytest.mark.parametrize("name", ["Dev", "1st", "a-b", "elevenchars", "a/b"])
def test_a_rig_is_not_named_what_an_interface_cannot_be(name, monkeypatch):
    monkeypatch.setenv("SPILLWAY_RIG", "fine")
    assert paths.instance() == "fine"
    monkeypatch.setenv("SPILLWAY_RIG", name)
    with pytest.raises(SystemExit, match="SPILLWAY_RIG"):
        paths.instance()


def test_a_changed_recipe_is_another_build(tmp_path, monkeypatch):
    (tmp_path / "etcd").mkdir()
    (tmp_path / "etcd" / "go.mod").write_text("module a\n")
    monkeypatch.setattr(toolchain, "GO", tmp_path)
    tool = next(t for t in toolchain.TOOLS if t.name == "etcd")
    before = tool.folder
    assert tool.folder == before
    (tmp_path / "etcd" / "go.mod").write_text("module b\n")
    assert tool.folder != before


def test_other_build_tags_are_another_build():
    tool = next(t for t in toolchain.TOOLS if t.tags)

    assert dataclasses.replace(tool, tags="").folder != tool.folder


def test_what_somebody_else_builds_meanwhile_is_not_built_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tool = next(t for t in toolchain.TOOLS if t.name == "etcd")
    monkeypatch.setattr(toolchain, "_go", lambda *_: pytest.fail("it is built again"))
    with ThreadPoolExecutor() as beside:
        with toolchain._alone():
            waiting = beside.submit(toolchain._build, tool)
            tool.folder.mkdir(parents=True)
            (tool.folder / "etcd").write_text("built")
        assert waiting.result(20) == {"etcd": tool.folder / "etcd"}


@pytest.mark.parametrize("building", [True, False])
def test_gos_cache_is_dropped_only_when_nobody_builds(building, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    toolchain._go_cache().mkdir(parents=True)
    with toolchain._alone() if building else nullcontext():
        toolchain.drop_build_cache()
    assert toolchain._go_cache().exists() == building


def test_what_cannot_be_built_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(RigError, match="install Go") as error:
        toolchain.ensure_all(["etcd"])
    assert "\n" not in str(error.value)


def test_a_rig_does_not_wait_for_what_only_a_rehearsal_needs(tmp_path, monkeypatch):
    for tool in toolchain.TOOLS:
        monkeypatch.setitem(vars(tool), "installed", lambda n=tool.name: {n: tmp_path})
    assert {"etcd", "kubernetes"} <= toolchain.ensure_all().keys()
    assert not {"kwok", *toolchain.OPERATORS, *toolchain.QUEUE} & toolchain.ensure_all().keys()
    assert toolchain.ensure_all(toolchain.OPERATORS).keys() == {*toolchain.OPERATORS}
    assert set(toolchain.ensure_all(PROGRAMS)) == set(PROGRAMS)


def test_an_old_pulumi_on_path_is_not_used(tmp_path, monkeypatch):
    for name, text in {"pulumi": "v3.99.0", "pulumi-language-python": ""}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\necho {text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    toolchain._version_text.cache_clear()
    assert toolchain._pulumi_installed() is None
    (tmp_path / "pulumi").write_text("#!/bin/sh\necho v3.260.1\n")
    toolchain._version_text.cache_clear()
    assert toolchain._pulumi_installed() == {"pulumi": tmp_path / "pulumi"}
    toolchain._version_text.cache_clear()


def test_keys_and_kubeconfigs_are_for_their_owner_alone(tmp_path):
    layout = Layout("dev", tmp_path)
    pki.ensure(layout)
    config._encryption(layout.pki / "encryption.yaml")
    private = [*layout.pki.glob("*.key"), *layout.pki.glob("*.kubeconfig"), layout.kubeconfig]
    private.append(layout.pki / "encryption.yaml")
    assert len(private) > 10
    assert {file.stat().st_mode & 0o777 for file in private} == {0o600}


def test_a_second_start_keeps_the_authority_that_signed_the_tokens(tmp_path):
    layout = Layout("dev", tmp_path)
    pki.ensure(layout)
    before = {file.name: file.read_bytes() for file in layout.pki.iterdir()}
    pki.ensure(layout)
    assert {file.name: file.read_bytes() for file in layout.pki.iterdir()} == before


def test_a_stack_that_names_a_cluster_does_not_get_the_rig(tmp_path):
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text(yaml.safe_dump({"config": {"spillway:cloud": "none"}}))
    assert not Platform("dev", tmp_path).own_cluster
    file.write_text(yaml.safe_dump({"config": {"spillway:cluster": {"context": "mine"}}}))
    assert Platform("dev", tmp_path).own_cluster


def test_a_stack_without_a_file_is_one_line_that_lists_the_stacks(tmp_path):
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {}\n")
    with pytest.raises(RigError, match=r"no Pulumi.prod.yaml; there are dev"):
        _ = Platform("prod", tmp_path).settings


def test_a_stack_that_is_meant_never_runs_on_a_stand_in_for_a_cloud(monkeypatch):
    def refuse(name, pulumi):
        raise RigError("no network")

    monkeypatch.setattr(toolchain, "plugin", lambda name: None)
    monkeypatch.setattr(toolchain, "_download", refuse)
    programs = {"pulumi-resource-kubernetes": Path("/k"), "pulumi": Path("/p")}

    assert set(plugin_home.for_stacks(programs, "none")) == {"kubernetes", "random"}
    for cloud in plugin_home.CLOUDS:
        assert cloud in plugin_home.for_rehearsals(Path("/k"))
        with pytest.raises(RigError, match=f"pulumi plugin install resource {cloud} "):
            plugin_home.for_stacks(programs, cloud)


def test_the_plugin_of_a_cloud_is_used_where_it_is_installed(monkeypatch):
    monkeypatch.setattr(toolchain, "plugin", lambda name: Path(f"/plugins/{name}"))
    programs = {"pulumi-resource-kubernetes": Path("/k"), "pulumi": Path("/p")}

    assert plugin_home.for_stacks(programs, "aws")["aws"] == Path("/plugins/aws")


def test_what_an_engine_logged_before_is_gone_from_our_home_and_stays_gone(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "up.log").write_text("every property of every resource")

    for _ in "once", "again":
        plugin_home.link(tmp_path, {})

    assert (tmp_path / "logs").read_text() == ""
