"""A rig's life: start, stop, status, load. What the command line and the tests call."""

import fcntl
import json
import shutil
import tarfile
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from rig import charts, host, images, kept_images, toolchain
from rig.errors import RigError
from rig.node import addons, cgroups, config, machine, pki
from rig.node.layout import Layout
from rig.steps import console, step

_CTR = ("ctr", "--namespace=k8s.io", "images")
ADDON_PROGRAMS = ("coredns", "local-path-provisioner", "metrics-server", "pause")


class Rig:
    """One one-node cluster on this machine."""

    def __init__(self, name: str | None = None) -> None:
        self.layout = Layout.of(name)

    @property
    def running(self) -> bool:
        """Whether its namespaces exist."""
        return machine.holder_pid(self.layout) is not None

    def start(self, others: Iterable[images.Archive] = ()) -> None:
        """Bring the cluster up, or what of it has died. A cluster that is well stays as it is.

        The node is given the images of ``others`` while its add-ons get ready.
        """
        if reason := host.can_run_containers():
            raise RigError(f"containers cannot run here: {reason}; use a cluster of your own "
                           "(spillway:cluster.context)")  # fmt: skip
        programs = setup()
        archives = build_images(images.rig_images(), programs)
        self.layout.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._alone():
            if not self.running:
                with step(f"starting the rig {self.layout.name!r}"):
                    self._start(programs, archives["pause"].reference)
            self._settle(programs, archives, list(others))

    def _start(self, programs: dict[str, Path], pause: str) -> None:
        # A rig that crashed leaves its cgroups; nothing else of it can outlive its namespaces.
        machine.stop(self.layout)
        pki.ensure(self.layout)
        config.write(self.layout, programs, pause)
        machine.start(self.layout)

    def _settle(
        self,
        programs: dict[str, Path],
        archives: dict[str, images.Archive],
        others: list[images.Archive],
    ) -> None:
        layout = self.layout
        cluster = addons.Cluster(programs["kubectl"], layout.kubeconfig)
        self.load(archives.values())
        with self.loading(others):
            with step("waiting for the API server"):
                where = f"the API server (see {layout.logs}/kube-apiserver.log)"
                machine.wait_for(cluster.ready, 90, where)
            with step("waiting for node and add-ons"):
                references = {name: archive.reference for name, archive in archives.items()}
                cluster.apply(addons.manifests(layout, references))
                addons.wait_ready(cluster)

    def stop(self) -> None:
        """End the cluster; volumes and everything else it remembers stay."""
        if not self.layout.state.exists():
            return
        with self._alone(), step(f"stopping the rig {self.layout.name!r}") as current:

            def notice(text: str) -> None:
                current.progress = text

            machine.stop(self.layout, notice)

    def delete(self) -> None:
        """End the cluster and forget all it remembered, volumes included."""
        self.stop()
        shutil.rmtree(self.layout.state, ignore_errors=True)

    def load(self, archives: Iterable[images.Archive]) -> None:
        """Give the node the images it has not got."""
        for archive in self._missing(archives):
            with step(f"loading {archive.reference.rpartition('/')[2]}"):
                self._import(archive)

    @contextmanager
    def loading(self, archives: Iterable[images.Archive]) -> Generator[None]:
        """Give the node these images meanwhile, one after the other; at the end they are there.

        Pods that want one earlier wait, as they do for a registry. Silent until then, for the
        terminal is the engine's; an error is raised at the end, unless there is another already.
        """
        with ThreadPoolExecutor(max_workers=1) as beside:
            jobs = [beside.submit(self._import, one) for one in self._missing(archives)]
            try:
                yield
            except BaseException:
                beside.shutdown(wait=False, cancel_futures=True)
                raise
            if any(not job.done() for job in jobs):
                with step("loading the last images"):
                    wait(jobs)
            for job in jobs:
                job.result()

    def _missing(self, archives: Iterable[images.Archive]) -> list[images.Archive]:
        socket = Path(f"/proc/{machine.first_pid(self.layout)}/root/run/containerd/containerd.sock")
        machine.wait_for(lambda: socket.exists() or None, 30, "containerd")
        have = set(machine.run_inside(self.layout, *_CTR, "list", "--quiet").split())
        return [archive for archive in archives if archive.reference not in have]

    def _import(self, archive: images.Archive) -> None:
        machine.run_inside(self.layout, *_CTR, "import", archive.path, timeout=600)

    def status(self) -> dict[str, str]:
        """State of each process of the node; empty when it is down."""
        return machine.processes(self.layout) if self.running else {}

    def memory(self) -> dict[str, int]:
        """Bytes in use by all of the rig, pods included."""
        return cgroups.memory(self.layout.cgroup)

    @contextmanager
    def _alone(self) -> Generator[None]:
        """Two commands at once on one rig: the second waits for the first."""
        with (self.layout.state.parent / f".{self.layout.name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                console.print(f"another command works on the rig {self.layout.name!r}; waiting")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def setup() -> dict[str, Path]:
    """Every program that the rig needs, by name; installs and builds what is missing."""
    host.ensure()
    return toolchain.ensure_all()


def setup_all() -> None:
    """Every program and image. Images that need none of the programs are built beside them."""
    host.ensure()
    with ThreadPoolExecutor(max_workers=1) as beside:
        alone = beside.submit(build_images, images.independent(), {})
        programs = toolchain.ensure_all()
        toolchain.ensure_all(toolchain.OPERATORS)
        charts.fetch()
        alone.result()
    build_images(
        [*images.rig_images(), *images.platform_images(), *images.operator_images()], programs
    )
    toolchain.drop_build_cache()


def build_images(
    wanted: Iterable[str | images.Image], programs: dict[str, Path]
) -> dict[str, images.Archive]:
    """The archive of each image, by its name or reference; builds what is missing."""
    given = {name: programs[name] for name in ADDON_PROGRAMS if name in programs}
    archives, wanted = dict[str, images.Archive](), list(wanted)
    kept_images.used(images.archive_of(image).path for image in wanted)
    for image in wanted:
        one = images.find(image) if isinstance(image, str) else image
        archive = images.archive_of(one)
        if not archive.path.exists():
            if one.tool:
                toolchain.ensure_all([one.tool])  # minutes, as steps of their own
            with step(f"building image {one.name}", log=f"image-{one.name}") as current:
                archive = images.ensure(one, current.log, given)
        archives[image if isinstance(image, str) else image.reference] = archive
    return archives


def archive(image: str, programs: dict[str, Path]) -> images.Archive:
    """The archive of a folder of ``images/``, or the archive file that ``image`` names."""
    if not Path(image).is_file():
        return build_images([image], programs)[image]
    with tarfile.open(image) as file:
        member = file.extractfile("manifest.json")
        tags = json.load(member)[0]["RepoTags"] if member else []
    return images.Archive(reference=tags[0], path=Path(image).resolve())
