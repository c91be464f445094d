"""A new image of the tracking server: schema first, then one server after the other."""

import shutil

from logging_client import Writer
from mlflow.tracking import MlflowClient
from testbed import Testbed

from infra.images import content_tag
from rig import images, paths, stack
from rig.node import machine


def edit_image(bed: Testbed) -> str:
    """Change the image's folder as a new version does; the reference that the change makes."""
    project = bed.platform.project
    for name in ("infra", "images"):
        (project / name).unlink()
        shutil.copytree(paths.ROOT / name, project / name)
    with (project / "images" / "mlflow" / "requirements.in").open("a") as file:
        file.write("# The next version.\n")
    return f"{images.REGISTRY}/mlflow:{content_tag('mlflow', project / 'images')}"


def image_of(workload: dict) -> str:
    spec = workload["spec"]
    spec = spec["template"]["spec"] if "template" in spec else spec
    return spec["containers"][0]["image"]


def migrations(bed: Testbed) -> dict[str, dict]:
    chosen = ("-l", "app.kubernetes.io/component=migration")
    return {job["metadata"]["uid"]: job for job in bed.get("jobs", *chosen)}


def test_a_new_version_migrates_before_its_first_server_starts_and_loses_nothing(
    bed: Testbed, client: MlflowClient, writer: Writer
):
    bed.whole()
    before = migrations(bed)
    old = images.archive_of("mlflow").reference
    new = edit_image(bed)
    # What a build of the edited folder would be called; only the name is new.
    name = ("ctr", "--namespace=k8s.io", "images", "tag", "--force")
    machine.run_inside(bed.layout, *name, old, new)
    writer.goes_on()

    stack.up(bed.stack)

    bed.whole()
    writer.goes_on()
    writer.end()
    assert writer.lost(bed, client) == []
    ((uid, job),) = migrations(bed).items()
    assert uid not in before
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

    stack.up(bed.stack, extra=["--expect-no-changes"])
