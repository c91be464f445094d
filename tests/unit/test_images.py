"""An image's tag follows its content and nothing else."""

import subprocess
import sys

import builders
import pytest

from infra.images import content_tag, tagged
from infra.settings import Images


@pytest.fixture
def images(tmp_path):
    (tmp_path / "app" / "src").mkdir(parents=True)
    (tmp_path / "app" / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "app" / "src" / "main.py").write_text("pass\n")
    return tmp_path


def test_a_tag_is_sixteen_hex_digits_and_stable(images):
    tag = content_tag("app", images)

    assert len(tag) == 16
    assert int(tag, 16)
    assert tag == content_tag("app", images)


@pytest.mark.parametrize("change", ["content", "name", "new file", "split"])
def test_what_changes_the_image_changes_the_tag(change, images):
    before = content_tag("app", images)
    source = images / "app" / "src" / "main.py"
    match change:
        case "content":
            source.write_text("pass  # now\n")
        case "name":
            source.rename(source.with_name("other.py"))
        case "new file":
            (images / "app" / "extra").write_text("")
        case "split":
            source.write_text("pa")
            source.with_name("main.py2").write_text("ss\n")

    assert content_tag("app", images) != before


@pytest.mark.parametrize("path", ["README.md", ".DS_Store", "src/__pycache__/m.pyc", "src/a.pyc"])
def test_what_never_reaches_the_image_does_not(path, images):
    before = content_tag("app", images)
    file = images / "app" / path
    file.parent.mkdir(exist_ok=True)
    file.write_text("noise")

    assert content_tag("app", images) == before


def test_an_image_that_does_not_exist_is_an_error_that_lists_the_others(images):
    with pytest.raises(ValueError, match=r"no image named 'ap' .*there are: app"):
        content_tag("ap", images)


@pytest.mark.parametrize("name", ["postgres", "object-store", "mlflow"])
def test_every_image_of_the_stack_has_a_folder(name):
    assert tagged(Images(), name) == f"{name}:{content_tag(name)}"


def test_one_tag_for_all_images_can_be_forced():
    assert tagged(Images(tag="v1"), "mlflow") == "mlflow:v1"


def test_the_image_builder_can_ask_for_tags_without_pulumi():
    code = "import sys, infra.images; sys.exit('pulumi' in sys.modules)"

    subprocess.run([sys.executable, "-c", code], cwd=builders.ROOT, check=True)
