"""A rig of the tests' own with the real `dev` stack on it, and ways to look at both."""

import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from person import Person, told

from rig import cluster, images, paths, stack
from rig.errors import RigError
from rig.node import addons, cgroups, machine
from rig.node.layout import Layout
from rig.platform import Platform

T = TypeVar("T")

RIG = os.environ.get("SPILLWAY_TEST_RIG", "test")
"""Neither the user's rig nor a name he would choose: its data is deleted."""
KEEP = "SPILLWAY_TEST_KEEP" in os.environ
"""For work on a test: take the rig as it was left, and leave it."""
NAMESPACE = "spillway"
TENANT, OTHER = "vision", "language"
"""The two of Pulumi.dev.yaml: ada and grace are in the first, grace and alan in the second."""
NARROW = "narrow"
"""A third one, of the tests alone: its image does not exist, and it has room for one server."""
NAMES = (
    "jane.doe@example.com",
    "jane-doe",
    "jane.doe",
    "jane_doe",
    "жанна-süß",
    "maximiliane-henriette-charlotte-von-der-wilden-wachtelwiese1",
)
"""People of the first tenant whose names are no labels of the cluster as they are."""
NODE_PORT, HUB_PORT = 30500, 30080
CLIENT_LABEL = "spillway.dev/mlflow-client=true"
LOADS = ("database", "object-store", "mlflow", "hub", "proxy", "tracking-ui")
"""Workloads of the platform, by what they are called here."""
DOMAIN = "spillway.localhost"
DOMAIN_LINE = f"  spillway:domain: {DOMAIN}   # browsers take *.localhost for this machine\n"
"""Without it there is no front door; its own tests put it in, so that the others need no wait."""
HTTP_DOOR, HTTPS_DOOR = 31081, 31443
"""Of the front door; other ports than those of a user's rig, for 127.0.0.1 is everybody's."""
PEOPLE = (
    ("{http: 30081, https: 30443}", f"{{http: {HTTP_DOOR}, https: {HTTPS_DOOR}}}"),
    (DOMAIN_LINE, ""),
    ("    homeSize: 2Gi\n", "    homeSize: 1Gi\n    startSeconds: 120\n"),
    ("members: [ada, grace]", f"members: {json.dumps(['ada', 'grace', *NAMES])}"),
    (
        "  spillway:tenants:\n",
        f"  spillway:tenants:\n    {NARROW}:\n      members: [tim]\n      profiles: [small]\n"
        "      quota: {cpu: 1, memory: 1Gi}\n      image: localhost/spillway/nothing:1\n",
    ),
)
"""What the tests' stack file says besides Pulumi.dev.yaml."""
LINKED = ("Pulumi.yaml", "__main__.py", "components", "infra", "images", ".venv")
TRY_TO_CONNECT = 'timeout 2 bash -c "exec 3<>/dev/tcp/$0/$1" 2>/dev/null && echo open || echo shut'
"""Needs no client in the image; what a policy drops is not answered at all."""


class Late(AssertionError):
    """Something awaited did not happen."""


def until(probe: Callable[[], T | None], seconds: float, what: str) -> T:
    """First answer of ``probe`` that is not None; errors of the rig count as no answer yet."""
    deadline, last = time.monotonic() + seconds, ""
    while True:
        try:
            if (answer := probe()) is not None:
                return answer
        except (RigError, OSError) as error:
            last = f" (last: {error})"
        if time.monotonic() > deadline:
            raise Late(f"{what}: not within {seconds:.0f} s{last}")
        # A look is a process of its own, and the pods that are awaited want the cores.
        time.sleep(0.5)


def project(folder: Path, layout: Layout) -> Path:
    """The checkout with its stack file changed to the addresses of another rig."""
    folder.mkdir()
    for name in LINKED:
        (folder / name).symlink_to(paths.ROOT / name)
    dev = Layout.of("dev")
    text = (paths.ROOT / "Pulumi.dev.yaml").read_text()
    for theirs, ours in ((str(dev.pods), str(layout.pods)), (dev.address, layout.address)):
        assert theirs in text, f"Pulumi.dev.yaml does not name {theirs}"
        text = text.replace(theirs, ours)
    for theirs, ours in PEOPLE:
        assert text.count(theirs) == 1, f"Pulumi.dev.yaml does not say {theirs!r} once"
        text = text.replace(theirs, ours)
    (folder / "Pulumi.dev.yaml").write_text(text)
    return folder


def with_door(text: str) -> str:
    """A stack file as the tests have it, and a front door."""
    return text.replace("config:\n", f"config:\n{DOMAIN_LINE}", 1)


@contextmanager
def shown() -> Iterator[Path]:
    """The file with what this process and the tools it runs print meanwhile."""
    with tempfile.NamedTemporaryFile("w+") as file:
        sys.stdout.flush()
        kept = os.dup(1)
        os.dup2(file.fileno(), 1)
        try:
            yield Path(file.name)
        finally:
            sys.stdout.flush()
            os.dup2(kept, 1)
            os.close(kept)


@dataclass
class Testbed:
    """What the tests hold in their hands."""

    __test__ = False

    folder: Path
    rig: cluster.Rig = field(default_factory=lambda: cluster.Rig(RIG))
    up_output: str = ""
    """What the engine showed of every ``up`` so far."""

    @property
    def layout(self) -> Layout:
        return self.rig.layout

    @property
    def url(self) -> str:
        return f"http://{self.layout.address}:{NODE_PORT}"

    @property
    def hub(self) -> str:
        """Where browsers go."""
        return f"http://{self.layout.address}:{HUB_PORT}"

    @cached_property
    def password(self) -> str:
        """Of the login that everybody shares."""
        return self.pulumi("stack", "output", "hubPassword", "--show-secrets").strip()

    def person(self, name: str) -> Person:
        """Somebody who has just logged in."""
        person = Person(self.hub, name)
        answer = person.log_in(self.password)
        assert answer.status_code == 200, told(answer)
        return person

    def token(self, tenant: str = TENANT, account: str = "notebook") -> str:
        """What the cluster believes a tenant's account by."""
        return self.kubectl("create", "token", account, "-n", tenant).strip()

    def credentials(self, tenant: str = TENANT, account: str = "notebook") -> dict[str, str]:
        """Headers by which the tracking server knows a tenant's account and its workspace."""
        return {
            "Authorization": f"Bearer {self.token(tenant, account)}",
            "X-MLFLOW-WORKSPACE": tenant,
        }

    @cached_property
    def platform(self) -> Platform:
        return Platform("dev", project(self.folder / "project", self.layout))

    @cached_property
    def programs(self) -> dict[str, Path]:
        return cluster.setup()

    @cached_property
    def stack(self) -> stack.Stack:
        return stack.Stack(
            project=self.platform.project,
            state=paths.state_dir(),
            env=self.platform.environment(),
        )

    # -- engine -----------------------------------------------------------------------------------

    def up(self) -> None:
        with shown() as output:
            try:
                self.platform.up()
            finally:
                said = output.read_text()
                self.up_output += said
                sys.stdout.write(said)

    @contextmanager
    def changed(self) -> Iterator[Path]:
        """The stack's file, to be changed and applied; as it was in the end, and applied again."""
        file = self.platform.config
        before = file.read_text()
        try:
            yield file
        finally:
            file.write_text(before)
            self.apply()

    def apply(self) -> None:
        """Bring the stack to what its file says now; a preview before it takes as long again."""
        stack.up(self.stack, extra=["--skip-preview"])
        # Made anew when a login of the company's own was between.
        self.__dict__.pop("password", None)

    def pulumi(self, *words: str, timeout: float = 60) -> str:
        """The engine as users run it by hand."""
        done = subprocess.run(
            ["pulumi", *words, "--stack=dev", "--non-interactive"],
            cwd=self.platform.project,
            env=dict(self.stack.env),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    # -- cluster ----------------------------------------------------------------------------------

    def kubectl(self, *words: str, given: str | None = None, timeout: float = 60) -> str:
        return self.cluster.run(*words, given=given, timeout=timeout)

    @property
    def cluster(self) -> addons.Cluster:
        return addons.Cluster(self.programs["kubectl"], self.layout.kubeconfig)

    def get(self, kind: str, *words: str) -> list[dict[str, Any]]:
        """All objects of a kind, in the platform's namespace unless told otherwise."""
        where = () if {"-A", "-n"} & set(words) else ("-n", NAMESPACE)
        return json.loads(self.kubectl("get", kind, *where, *words, "-o", "json"))["items"]

    def execute(
        self,
        pod: str,
        *command: str,
        namespace: str = NAMESPACE,
        given: str | None = None,
        timeout: float = 60,
    ) -> str:
        words = ("exec", "-i", "-n", namespace, pod, "--", *command)
        return self.kubectl(*words, given=given if given is not None else "", timeout=timeout)

    def pods(self, app: str = "mlflow", role: str = "server") -> list[str]:
        chosen = f"app.kubernetes.io/name={app},app.kubernetes.io/component={role}"
        return [
            pod["metadata"]["name"]
            for pod in self.get("pods", "-l", chosen)
            if "deletionTimestamp" not in pod["metadata"]
        ]

    def whole(self, seconds: float = 90) -> None:
        """Wait until every workload of the platform has all its pods ready, and answers."""

        def ready() -> bool | None:
            loads = [*self.get("deployments"), *self.get("statefulsets")]
            status = [(load["spec"]["replicas"], load["status"]) for load in loads]
            served = all(s.get("readyReplicas", 0) == n == s["replicas"] for n, s in status)
            gone = not [p for p in self.get("pods") if "deletionTimestamp" in p["metadata"]]
            return True if len(loads) == len(LOADS) and served and gone else None

        until(ready, seconds, "all pods ready")

    def connects(self, pod: str, host: str, port: int, namespace: str = NAMESPACE) -> bool:
        """Whether a process in the pod gets a TCP connection."""
        words = ("bash", "-c", TRY_TO_CONNECT, host, str(port))
        return self.execute(pod, *words, namespace=namespace).strip() == "open"

    def service(self, name: str, namespace: str = NAMESPACE) -> str:
        """A Service's address; who may look up names is another question."""
        words = ("service", name, "-n", namespace, "-o", "jsonpath={.spec.clusterIP}")
        return self.kubectl("get", *words)

    def sql(self, query: str, pod: str = "database-0") -> list[list[str]]:
        """Rows as PostgreSQL has them, asked inside its pod."""
        login = (
            "PGPASSWORD=$POSTGRES_PASSWORD exec psql --no-psqlrc -q -h /var/run/postgresql "
            "-U postgres -d mlflow -v ON_ERROR_STOP=1 -At -F'|'"
        )
        rows = self.execute(pod, "sh", "-c", login, given=query)
        return [row.split("|") for row in rows.splitlines()]

    def python(self, script: str, pod: str | None = None) -> str:
        """Run a script in an MLflow pod, with its environment."""
        pod = pod or self.pods()[0]
        return self.execute(pod, "/opt/mlflow/bin/python", "-", given=script)

    def kill_container(self, pod: str) -> None:
        """SIGKILL the main process of a pod's only container, as a lack of memory would."""
        before = self._container(pod, NAMESPACE)["restartCount"]
        self._task(pod, NAMESPACE, "kill", "--signal", "SIGKILL")

        def again() -> bool | None:
            return True if self._container(pod, NAMESPACE)["restartCount"] > before else None

        until(again, 60, f"{pod} restarted")

    def kill_for_good(self, pod: str, namespace: str) -> None:
        """The same to a pod that is not started again in its place."""
        self._task(pod, namespace, "kill", "--signal", "SIGKILL")

    @contextmanager
    def frozen(self, pod: str, namespace: str) -> Iterator[None]:
        """A pod's only container hangs: connections are taken, and nothing is answered."""
        self._task(pod, namespace, "pause")
        try:
            yield
        finally:
            self._task(pod, namespace, "resume")

    def _container(self, pod: str, namespace: str) -> dict[str, Any]:
        words = ("pod", pod, "-n", namespace, "-o", "jsonpath={.status.containerStatuses[0]}")
        return json.loads(self.kubectl("get", *words))

    def _task(self, pod: str, namespace: str, *words: str) -> None:
        """What the node's containers can do and pods cannot ask for."""
        container = self._container(pod, namespace)["containerID"].removeprefix("containerd://")
        machine.run_inside(self.layout, "ctr", "--namespace=k8s.io", "tasks", *words, container)

    # -- node -------------------------------------------------------------------------------------

    def processes(self) -> dict[str, int]:
        """Pid on this machine of each supervised process that runs."""
        wanted = dict.fromkeys(self.rig.status(), "")
        found: dict[str, int] = {}
        for pid in cgroups.pids(self.layout.cgroup):
            words = command_line(pid)
            name = Path(words[0]).name if words else ""
            if name in wanted:
                found[name] = pid
        return found


def command_line(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")[:-1]
    except (FileNotFoundError, ProcessLookupError):
        return []


def machine_state() -> set[str]:
    """What a rig could leave behind, without what belongs to other rigs that run meanwhile."""
    links = json.loads(_output("ip", "-json", "link", "show"))
    routes = json.loads(_output("ip", "-json", "route", "show", "table", "all"))
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    hierarchies = [h for h in (cgroups.MOUNT, *cgroups.MOUNT.iterdir()) if h.is_dir()]
    groups = [group for h in hierarchies for group in h.iterdir() if group.is_dir()]
    state = {f"link {link['ifname']}" for link in links}
    state |= {f"route {route.get('dst')} dev {route.get('dev')}" for route in routes}
    state |= {f"mount {mount}" for mount in mounts}
    state |= {f"nft {line}" for line in _output("nft", "list", "tables").splitlines()}
    state |= {f"cgroup {group}" for group in groups}
    others = [path.name for path in paths.state_dir(RIG).parent.iterdir() if path.name != RIG]
    foreign = [f"spw-{name}" for name in others] + [f"spillway-{name}" for name in others]
    return {thing for thing in state if not any(name in thing for name in foreign)}


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return done.stdout


def processes_of(layout: Layout) -> list[str]:
    """Processes of the machine that name the rig's folders in their arguments, ours apart."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    lines = {pid: " ".join(command_line(pid)) for pid in pids if pid != os.getpid()}
    return [f"{pid} {line}" for pid, line in lines.items() if f"{layout.state}/" in line]


@contextmanager
def only_session() -> Iterator[None]:
    """Two sessions on one machine would delete each other's rig: the second waits."""
    folder = paths.state_dir(RIG).parent
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{RIG}.session").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def references(names: Sequence[str]) -> dict[str, str]:
    """Image references as the stack uses them; all are in the node."""
    return {name: images.archive_of(name).reference for name in names}
