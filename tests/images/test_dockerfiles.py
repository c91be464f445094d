"""What every image folder promises: unprivileged, locked, and nothing fetched behind one's back."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from infra import charts
from infra.images import TEAM
from rig import base_image, images, toolchain

NAMES = [
    *images.platform_images(),
    *images.notebook_images(),
    *images.serving_images(),
    *images.rig_images(),
    *images.operator_images(),
    *images.queue_images(),
]
FOLDERS = [*(images.find(name).folder for name in NAMES), images.IMAGES / TEAM]
ROOT_ON_PURPOSE = {"helper"}
"""It makes and removes volumes' folders, which belong to the node's root."""

SCRIPTS = [
    file
    for folder in FOLDERS
    for file in sorted(folder.rglob("*"))
    if file.is_file() and file.read_bytes().startswith(b"#!")
]
# Spelt in pieces, so that this file itself names none of them.
REGISTRY_HOSTS = re.compile(
    r"\b(?:deb\.debian|security\.debian|py" + r"pi|files\.pythonhosted|proxy\.golang|"
    r"sum\.golang|registry\.npmjs)\b",
    re.IGNORECASE,
)

LOCKED = re.compile(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==\S+ .*--hash=sha256:[0-9a-f]{64}")


def each(folders: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("folder", folders, ids=lambda folder: folder.name)


def instructions(folder: Path) -> list[tuple[str, str]]:
    """(name, arguments) of each, without comments, continued lines joined."""
    text = (folder / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(n, a) for n, _, a in (li.partition(" ") for li in joined.splitlines() if li.strip())]


def values(folder: Path, name: str) -> list[str]:
    return [arguments for found, arguments in instructions(folder) if found == name]


def committed(folder: Path) -> list[Path]:
    return [f for f in folder.rglob("*") if f.is_file() and "__pycache__" not in f.parts]


def test_there_are_images_to_look_at():
    assert {"postgres", "object-store", "mlflow", "pause", "helper"} <= {f.name for f in FOLDERS}
    assert {file.parent for file in images.IMAGES.glob("*/Dockerfile")} <= set(FOLDERS)


@each(FOLDERS)
def test_an_image_runs_as_a_numeric_user_that_is_not_root(folder):
    uid, _, gid = values(folder, "USER")[-1].partition(":")

    assert uid.isdigit()
    assert gid.isdigit()
    assert (int(uid) == 0) == (folder.name in ROOT_ON_PURPOSE)


@each(FOLDERS)
def test_a_process_is_started_without_a_shell_around_it(folder):
    commands = [*values(folder, "ENTRYPOINT"), *values(folder, "CMD")]

    assert commands or folder.name == TEAM  # which leaves that to the image it is built on
    assert all(isinstance(json.loads(command), list) for command in commands)


@each(FOLDERS)
def test_an_image_is_made_from_the_one_base_or_from_nothing(folder):
    origins = {origin.split(" ")[0] for origin in values(folder, "FROM")}

    assert origins <= {"${BASE}", "scratch"}
    if "${BASE}" in origins:
        ours = {f"BASE=spillway/{name}" for name in images.notebook_images()}
        bases = [line for line in values(folder, "ARG") if line.startswith("BASE=")]
        assert len(bases) == 1
        assert bases[0] == f"BASE={base_image.PUBLIC}" or bases[0] in ours


@each(FOLDERS)
def test_an_image_says_what_it_is(folder):
    labels = " ".join(values(folder, "LABEL"))

    assert f'org.opencontainers.image.title="spillway/{folder.name}"' in labels
    assert "org.opencontainers.image.version=" in labels


@each(FOLDERS)
def test_nothing_is_fetched_by_url(folder):
    assert not values(folder, "ADD")
    for command in values(folder, "RUN"):
        run = re.sub(r"apt-get install[^&;|]*", "", command)  # people may find curl in a terminal
        assert not re.search(r"\b(curl|wget|git clone)\b|https?://", run)


@each([folder for folder in FOLDERS if (folder / "pom.xml").exists()])
def test_every_jar_is_named_and_checked_by_its_hash(folder):
    pom = (folder / "pom.xml").read_text()
    wanted = re.findall(r"<artifactItem>.*?<artifactId>([^<]+)</artifactId>", pom)
    lines = [line.split("  ") for line in (folder / "jars.sha256").read_text().splitlines()]

    assert "<dependency>" not in pom  # which would bring others along
    assert len(wanted) == len(lines)
    for digest, jar in lines:
        assert re.fullmatch(r"[0-9a-f]{64}", digest)
        assert any(jar.startswith(f"{name}-") for name in wanted), jar
    assert any("sha256sum --quiet --check" in command for command in values(folder, "RUN"))


@each([folder for folder in FOLDERS if (folder / "package.json").exists()])
def test_every_javascript_package_has_its_hash_and_no_address(folder):
    lock = json.loads((folder / "package-lock.json").read_text())
    wanted = json.loads((folder / "package.json").read_text())["dependencies"]
    packages = {path: package for path, package in lock["packages"].items() if path}

    assert lock["packages"][""]["dependencies"] == wanted
    assert packages
    for path, package in packages.items():
        assert package["integrity"].startswith("sha512-"), path
        assert "resolved" not in package, path
    assert any("npm ci" in command for command in values(folder, "RUN"))


@each(FOLDERS)
def test_packages_leave_no_lists_or_caches_behind(folder):
    last_stage = instructions(folder)[-[n for n, _ in instructions(folder)][::-1].index("FROM") :]
    for name, command in last_stage:
        if name == "RUN" and "apt-get" in command:
            assert "--no-install-recommends" in command
            assert "/var/lib/apt/lists/*" in command


@each(FOLDERS)
def test_no_file_names_a_package_registry(folder):
    for file in committed(folder):
        if file.name != "go.sum":
            found = REGISTRY_HOSTS.search(file.read_text())
            assert not found, f"{file}: {found and found.group()}"


@each(FOLDERS)
def test_no_file_carries_a_certificate_or_a_key(folder):
    for file in committed(folder):
        assert "-----BEGIN" not in file.read_text(), file


@each([folder for folder in FOLDERS if (folder / "requirements.in").exists()])
def test_every_python_requirement_is_pinned_and_has_its_hash(folder):
    for file in folder.glob("requirements*.txt"):  # of its variants, too
        text = file.read_text().replace("\\\n", " ")
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]

        assert lines, file
        for line in lines:
            assert LOCKED.match(line), f"{file}: {line}"
    assert any("--require-hashes" in command for command in values(folder, "RUN"))


@each([folder for folder in FOLDERS if (folder / "requirements.in").exists()])
def test_what_is_wanted_is_what_is_locked(folder):
    for file in folder.glob("requirements*.in"):
        locked = file.with_suffix(".txt").read_text()
        for line in file.read_text().splitlines():
            if line and not line.startswith("#"):
                name, _, version = line.partition("==")
                name = re.sub(r"\[.*\]", "", name)
                lock = rf"^{name}(\[.*\])?=={re.escape(version)}"
                assert re.search(lock, locked, re.MULTILINE), f"{file}: {line}"


@pytest.mark.parametrize(
    "file", sorted(images.IMAGES.glob("*/requirements-*.txt")), ids=lambda file: file.stem
)
def test_a_variant_adds_packages_and_changes_none(file):
    ours, theirs = (
        dict(re.findall(r"^(\S+?)==(\S+)", text.read_text(), re.MULTILINE))
        for text in (file.with_name("requirements.txt"), file)
    )

    assert theirs
    assert {name: ours[name] for name in theirs if name in ours}.items() <= theirs.items()
    assert f" {file.name} " in " ".join(values(file.parent, "COPY"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_can_be_parsed_and_executed(script):
    shebang = script.read_text().splitlines()[0]

    assert os.access(script, os.X_OK) or script.suffix == ".sh"
    if shebang == "#!/bin/sh":
        subprocess.run(["sh", "-n", script], check=True)
    else:
        compile(script.read_text(), script, "exec")


@pytest.mark.parametrize(
    ("name", "file", "pinned"),
    [
        ("mlflow", "requirements.txt", r"^mlflow==(\S+)"),
        ("object-store", "go.mod", r"versitygw v(\S+)"),
        ("hub", "requirements.txt", r"^jupyterhub==(\S+)"),
        ("notebook", "requirements.txt", r"^jupyterhub==(\S+)"),
        ("notebook-spark", "requirements.txt", r"^pyspark==(\S+)"),
        ("model-server", "requirements.txt", r"^mlserver==(\S+)"),
        ("storage-initializer", "requirements.txt", r"^mlflow-skinny==(\S+)"),
        ("proxy", "package.json", r'"configurable-http-proxy": "([^"]+)"'),
    ],
)
def test_the_pinned_version_is_the_labelled_one(name, file, pinned):
    folder = images.find(name).folder
    version = re.search(pinned, (folder / file).read_text(), re.MULTILINE)

    assert version is not None
    assert f'version="{version[1]}"' in (folder / "Dockerfile").read_text()


@pytest.mark.parametrize("name", [*images.operator_images(), *images.queue_images()])
def test_an_operators_version_is_the_labelled_one(name):
    (source,) = [s for s in charts.read().modules.values() if name in s.images]
    built = source.release.removeprefix("v")

    assert f'version="{built}"' in (images.find(name).folder / "Dockerfile").read_text()


@pytest.mark.parametrize("name", [*images.operator_images(), *images.queue_images()])
def test_an_operators_image_takes_all_that_it_is_given_from_its_tool(name):
    image = images.find(name)
    copied = " ".join(values(image.folder, "COPY"))

    assert image.tool in {*toolchain.OPERATORS, *toolchain.QUEUE}
    assert all(f"bin/{file} " in copied for file in image.files)
    assert copied.count("bin/") - copied.count("/bin/") == len(image.files)


def test_hub_and_notebooks_are_of_one_version():
    versions = {
        re.search(
            r"^jupyterhub==(\S+)", (images.IMAGES / name / "requirements.txt").read_text(), re.M
        )
        for name in ("hub", "notebook")
    }

    assert len({version and version[1] for version in versions}) == 1
