"""The programs the rig needs: found where they are installed, else built from pinned modules.

A build goes to ``tools/<name>-<hash of its recipe>`` in the cache, so that every clone shares it
and a changed recipe builds anew. Go's own build cache makes an interrupted build go on where it
was; it is dropped when all is built, for it takes gigabytes.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Collection, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from rig.errors import RigError
from rig.paths import ROOT, cache_dir
from rig.steps import Step, step

GO = ROOT / "rig" / "go"
PULUMI = "3.259.0"
KUBERNETES = "1.36.3"
KUBERNETES_PROVIDER = "4.25.0"
PLUGINS = {
    "kubernetes": KUBERNETES_PROVIDER,
    "random": "4.21.4",
    "aws": "7.51.1",
    "gcp": "10.2.0",
}
"""Provider plugin -> version, that of its SDK in requirements/dev.in."""
ALWAYS = ("kubernetes", "random")
"""Plugins of every stack; those of a cloud are fetched for the stacks that use it."""
_NO_DWARF = "-gcflags=all=-dwarf=false"
"""The linker drops debug information anyway; not making it saves a tenth of a build."""
OLDEST_PULUMI = (3, 200)
OLDEST_KUBECTL = (1, 30)
DOWNLOAD_SECONDS = 120
ENGINE = ("pulumi", "pulumi-language-python", "pulumi-resource-kubernetes", "kubectl")
"""Tools for a stack on a cluster that is there already."""
OPERATORS = ("cert-manager", "seldon-operator", "pilot-agent", "pilot-discovery")
"""Other projects' operators, which are official images wherever a registry can be reached."""
QUEUE = ("kueue", "cluster-autoscaler")
"""The same of clusters with pools of GPUs, which no rig has."""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """Programs that one Go module makes."""

    name: str
    module: str
    """Folder below ``rig/go`` with ``go.mod``, ``go.sum`` and what imports the programs."""
    packages: dict[str, str]
    """Program -> Go package."""
    variables: dict[str, str] = field(default_factory=dict[str, str])
    """Set by the linker: versions that a program reports."""
    tags: str = ""
    """Go's build tags."""
    prepare: Callable[[Path], None] | None = None
    """Adds files to the copy of the module that is built."""
    installed: Callable[[], dict[str, Path] | None] = lambda: None
    """The programs where the machine has them already, in a version that fits."""
    everyday: bool = True
    """Whether a rig needs it; others are built by who asks for them by name."""

    @property
    def folder(self) -> Path:
        """Where the build goes."""
        return cache_dir() / "tools" / f"{self.name}-{self._key}"

    @property
    def _key(self) -> str:
        recipe = [self.packages, self.variables, *([self.tags] if self.tags else [])]
        digest = hashlib.sha256(json.dumps(recipe).encode())
        for file in sorted((GO / self.module).rglob("*")):
            if file.is_file():
                digest.update(f"{file.relative_to(GO)}\0".encode() + file.read_bytes())
        return digest.hexdigest()[:16]


def ensure_all(only: Collection[str] = ()) -> dict[str, Path]:
    """Programs by name: all a rig needs, or those of ``only``. Builds what is missing."""
    fetch_plugins()
    found = dict[str, Path]()
    missing = list[Tool]()
    for tool in TOOLS:
        if tool.name in only if only else tool.everyday:
            programs = tool.installed() or _built(tool)
            found.update(programs or {})
            missing += [] if programs else [tool]
    with ThreadPoolExecutor(max_workers=1) as beside:
        # The sources of what comes next arrive while the cores are busy with what comes first.
        beside.map(_fetch_modules, missing[1:])
        for tool in missing:
            found.update(_build(tool))
    return found


def fetch_plugins(names: Collection[str] = ALWAYS) -> None:
    """Let an official Pulumi, if there is one, download its plugins once."""
    pulumi = _pulumi_installed()
    missing = {name: PLUGINS[name] for name in names if plugin(name) is None}
    tried = _plugin_home() / f"tried-{'-'.join(f'{n}-{v}' for n, v in sorted(missing.items()))}"
    if not pulumi or not missing or tried.exists():
        return
    _plugin_home().mkdir(parents=True, exist_ok=True)
    tried.touch()
    for name in missing:
        with suppress(RigError):
            _download(name, pulumi["pulumi"])


def cloud_plugin(name: str, pulumi: Path) -> Path:
    """The official plugin of a cloud: there is no other. Downloads it; an error says what to do."""
    if found := plugin(name):
        return found
    _plugin_home().mkdir(parents=True, exist_ok=True)
    with suppress(RigError):
        _download(name, pulumi)
    if found := plugin(name):
        return found
    raise RigError(
        f"Pulumi's {name} plugin {PLUGINS[name]} is not installed and cannot be downloaded: run "
        f"`pulumi plugin install resource {name} {PLUGINS[name]}`, or see what the stack would do "
        "without it: make rehearse"
    )


def _download(name: str, pulumi: Path) -> None:
    with step(f"fetching Pulumi's {name} plugin", log=f"plugin-{name}") as current:
        command = [str(pulumi), "plugin", "install", "resource", name, PLUGINS[name]]
        try:
            current.run(["timeout", str(DOWNLOAD_SECONDS), *command], env=_home_environment())
        except RigError:
            current.progress = "not to be had"
            raise


def plugin(name: str) -> Path | None:
    """The official plugin in the version of the SDK, where it is installed; else None."""
    for folder in _plugin_folders():
        path = folder / f"resource-{name}-v{PLUGINS[name]}" / f"pulumi-resource-{name}"
        if path.exists():
            return path
    return None


def _plugin_home() -> Path:
    return cache_dir() / "pulumi-home"


def _home_environment() -> dict[str, str]:
    return {"PULUMI_HOME": str(_plugin_home()), "PULUMI_SKIP_UPDATE_CHECK": "true"}


def engine(programs: dict[str, Path]) -> Path:
    """Folder to put on PATH for ``pulumi``.

    The engine takes a language host for its own only where it lies beside it, so the two that we
    build are linked into one folder.
    """
    pulumi, host = programs["pulumi"], programs["pulumi-language-python"]
    if _pulumi_installed():
        return pulumi.parent
    folder = cache_dir() / "tools" / f"engine-{pulumi.parent.name[-8:]}{host.parent.name[-8:]}"
    folder.mkdir(parents=True, exist_ok=True)
    for program in (pulumi, host, host.parent / "pulumi-language-python-exec"):
        with suppress(FileExistsError):
            os.link(program, folder / program.name)
    return folder


def drop_build_cache() -> None:
    """Remove Go's build cache: about 14 GB after all of the above. Who builds still will do so."""
    with suppress(BlockingIOError), _alone(fcntl.LOCK_NB):
        shutil.rmtree(_go_cache(), ignore_errors=True)


def go_environment() -> dict[str, str]:
    """Settings with which Go builds the same everywhere."""
    return {
        "CGO_ENABLED": "0",
        "GOCACHE": str(_go_cache()),
        "GOFLAGS": "",
        "GOWORK": "off",
        # The compiler collects garbage less often: an eighth of its time, for a little memory.
        "GOGC": "400",
    }


def _go_cache() -> Path:
    return cache_dir() / "go-build"


def _built(tool: Tool) -> dict[str, Path] | None:
    programs = {name: tool.folder / name for name in tool.packages}
    return programs if all(path.exists() for path in programs.values()) else None


def _build(tool: Tool) -> dict[str, Path]:
    if not shutil.which("go"):
        raise RigError(
            f"{tool.name} is not installed and cannot be built: install Go 1.26 or later"
        )
    work = cache_dir() / "work" / tool.folder.name
    with step(f"building {tool.name}", log=tool.name) as current, _alone():
        if programs := _built(tool):  # by somebody else while we waited
            return programs
        shutil.copytree(GO / tool.module, work, dirs_exist_ok=True)
        if tool.prepare:
            tool.prepare(work)
        (work / "out").mkdir(exist_ok=True)
        flags = " ".join(["-s", "-w", *(f"-X {k}={v}" for k, v in tool.variables.items())])
        for program, package in tool.packages.items():
            _go(
                current, work, "build", "-v", "-trimpath", "-buildvcs=false", _NO_DWARF,
                "-tags", tool.tags, "-ldflags", flags, "-o", f"out/{program}", package,
            )  # fmt: skip
        tool.folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(tool.folder, ignore_errors=True)
        (work / "out").rename(tool.folder)
        shutil.rmtree(work)
    return {name: tool.folder / name for name in tool.packages}


@contextmanager
def _alone(how: int = 0) -> Generator[None]:
    """One build at a time on this machine: two would share a folder, and each has all cores."""
    folder = cache_dir() / "tools"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | how)
        yield


def _fetch_modules(tool: Tool) -> None:
    """Download what ``tool`` is built from; what goes wrong here, its build will tell."""
    command = ["go", "list", "-e", "-deps", *tool.packages.values()]
    with suppress(OSError):
        subprocess.run(
            command,
            cwd=GO / tool.module,
            env={**os.environ, **go_environment()},
            capture_output=True,
            check=False,
        )


def _go(current: Step, work: Path, *words: str) -> None:
    current.run(["go", *words], env=go_environment(), cwd=work)


# -- what a machine may have already ---------------------------------------------------------------


def _pulumi_installed() -> dict[str, Path] | None:
    """An official Pulumi, which brings its language host along."""
    pulumi, host = shutil.which("pulumi"), shutil.which("pulumi-language-python")
    version = _version([pulumi or "", "version"])
    if pulumi and host and OLDEST_PULUMI <= version < (4, 0):
        return {"pulumi": Path(pulumi)}
    return None


def _language_host_installed() -> dict[str, Path] | None:
    host = shutil.which("pulumi-language-python")
    return {"pulumi-language-python": Path(host)} if _pulumi_installed() and host else None


def _kubectl_installed() -> dict[str, Path] | None:
    kubectl = shutil.which("kubectl")
    version = _version([kubectl or "", "version", "--client"])
    return {"kubectl": Path(kubectl)} if kubectl and version >= OLDEST_KUBECTL else None


def _provider_installed() -> dict[str, Path] | None:
    path = plugin("kubernetes")
    return {path.name: path} if path else None


def _plugin_folders() -> Iterator[Path]:
    for home in (os.environ.get("PULUMI_HOME"), Path.home() / ".pulumi", _plugin_home()):
        if home:
            yield Path(home) / "plugins"


@cache
def _version_text(command: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _version(command: list[str]) -> tuple[int, int]:
    match = re.search(r"v?(\d+)\.(\d+)\.\d+", _version_text(tuple(command))) if command[0] else None
    return (int(match[1]), int(match[2])) if match else (0, 0)


# -- what some builds need -------------------------------------------------------------------------


def _module_folder(work: Path, module: str) -> Path:
    """Where Go keeps the source of a module that ``work`` requires; fetches it when it must."""
    done = subprocess.run(
        ["go", "mod", "download", "-json", module],
        cwd=work,
        env={**os.environ, **go_environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RigError(f"{module} cannot be fetched: {done.stdout.strip() or done.stderr.strip()}")
    return Path(json.loads(done.stdout)["Dir"])


def _embed_schema(work: Path) -> None:
    """The provider's schema with its version in it, as upstream's own generator lays it down."""
    module = _module_folder(work, "github.com/pulumi/pulumi-kubernetes/provider/v4")
    source = module / "cmd" / "pulumi-resource-kubernetes"
    schema = json.loads((source / "schema.json").read_text())
    schema["version"] = KUBERNETES_PROVIDER
    (work / "schema-embed.json").write_text(json.dumps(schema))
    mapping = json.loads((source / "terraform-mapping.json").read_text())
    (work / "terraform-mapping-embed.json").write_text(json.dumps(mapping))


def _lay_exec(work: Path) -> None:
    """The script with which the host starts a program: the engine's, not the host's older one."""
    script = work / "out" / "pulumi-language-python-exec"
    script.parent.mkdir(exist_ok=True)
    sdk = _module_folder(GO / "pulumi", "github.com/pulumi/pulumi/sdk/v3")
    shutil.copy(sdk / "python" / "cmd" / script.name, script)
    script.chmod(0o755)


def _lay_bootstrap(work: Path) -> None:
    """Envoy's first configuration, which the agent fills in: beside the agent, for its image."""
    file = work / "out" / "envoy_bootstrap.json"
    file.parent.mkdir(exist_ok=True)
    istio = _module_folder(work, "istio.io/istio")
    file.write_bytes((istio / "tools" / "packaging" / "common" / file.name).read_bytes())


_AUTOSCALER_TIMES = {
    "clusterstate/clusterstate.go": "\tMaxNodeStartupTime = 15 * time.Minute\n",
    "core/static_autoscaler.go": "\tunschedulablePodWithGpuTimeBuffer = 30 * time.Second\n",
}
"""Times of the autoscaler for which it has no flag, and where they are."""


def _compress_times(work: Path) -> None:
    """Lets a simulation run faster than the world: two constants become variables."""
    name, copy = "k8s.io/autoscaler/cluster-autoscaler", work / "autoscaler"
    shutil.copytree(_module_folder(work, name), copy, copy_function=shutil.copyfile)
    for folder in (copy, *(path for path in copy.rglob("*") if path.is_dir())):
        folder.chmod(0o755)  # what is in Go's cache cannot be written to
    for path, line in _AUTOSCALER_TIMES.items():
        file = copy / path
        if file.read_text().count(line) != 1:
            raise RigError(f"{path} of the autoscaler has another {line.strip()!r}: look there")
        file.write_text(file.read_text().replace(line, ""))
        added = Path(path).with_name("compressed.go")
        shutil.copyfile(work / "compressed" / added, copy / added)
    command = ["go", "mod", "edit", f"-replace={name}=./{copy.name}"]
    subprocess.run(command, cwd=work, env={**os.environ, **go_environment()}, check=True)


_SDK = "github.com/pulumi/pulumi/sdk/v3"
_BASE = "k8s.io/component-base/version"
_KUBERNETES_VERSION = {
    f"{_BASE}.gitVersion": f"v{KUBERNETES}",
    f"{_BASE}.gitMajor": KUBERNETES.split(".", maxsplit=1)[0],
    f"{_BASE}.gitMinor": KUBERNETES.split(".")[1],
}
ISTIO = "1.31.0"
"""The release that the commit in rig/go/istio is."""
_ISTIO_VERSION = {"istio.io/istio/pkg/version.buildVersion": ISTIO}
CERT_MANAGER = "1.21.2"
_CERT_MANAGER_VERSION = {
    "github.com/cert-manager/cert-manager/pkg/util.AppVersion": f"v{CERT_MANAGER}"
}
KUEUE = "0.19.2"
_KUEUE_VERSION = {"sigs.k8s.io/kueue/pkg/version.GitVersion": f"v{KUEUE}"}
_NODE_PROGRAMS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
)

TOOLS = (
    Tool(
        name="pulumi",
        module="pulumi",
        packages={"pulumi": "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"},
        variables={f"{_SDK}/go/common/version.Version": f"v{PULUMI}"},
        installed=_pulumi_installed,
    ),
    Tool(
        name="pulumi-language-python",
        module="pulumi-language-python",
        packages={
            "pulumi-language-python": f"{_SDK}/python/cmd/pulumi-language-python",
        },
        prepare=_lay_exec,
        installed=_language_host_installed,
    ),
    Tool(
        name="pulumi-resource-kubernetes",
        module="pulumi-resource-kubernetes",
        packages={"pulumi-resource-kubernetes": "."},
        variables={"main.version": KUBERNETES_PROVIDER},
        prepare=_embed_schema,
        installed=_provider_installed,
    ),
    Tool(
        name="kubernetes",
        module="kubernetes",
        packages={name: f"k8s.io/kubernetes/cmd/{name}" for name in _NODE_PROGRAMS},
        variables=_KUBERNETES_VERSION,
    ),
    Tool(
        name="kubectl",
        module="kubernetes",
        packages={"kubectl": "k8s.io/kubernetes/cmd/kubectl"},
        variables=_KUBERNETES_VERSION,
        installed=_kubectl_installed,
    ),
    Tool(name="etcd", module="etcd", packages={"etcd": "go.etcd.io/etcd/server/v3"}),
    Tool(
        name="kwok",
        module="kwok",
        packages={"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
        everyday=False,
    ),
    Tool(
        name="vegeta",
        module="vegeta",
        packages={"vegeta": "github.com/tsenart/vegeta/v12"},
        everyday=False,
    ),
    Tool(
        name="pebble",
        module="pebble",
        packages={
            name: f"github.com/letsencrypt/pebble/v2/cmd/{name}"
            for name in ("pebble", "pebble-challtestsrv")
        },
        everyday=False,
    ),
    Tool(
        name="kueue",
        module="kueue",
        packages={"kueue": "sigs.k8s.io/kueue/cmd/kueue"},
        variables=_KUEUE_VERSION,
        everyday=False,
    ),
    # Its build tags exclude each other: one provider alone, or, without any, all of them.
    Tool(
        name="cluster-autoscaler",
        module="cluster-autoscaler",
        packages={"cluster-autoscaler": "k8s.io/autoscaler/cluster-autoscaler"},
        everyday=False,
    ),
    Tool(
        name="cluster-autoscaler-kwok",
        module="cluster-autoscaler",
        packages={"cluster-autoscaler-kwok": "k8s.io/autoscaler/cluster-autoscaler"},
        tags="kwok",
        prepare=_compress_times,
        everyday=False,
    ),
    Tool(
        name="addons",
        module="addons",
        packages={
            "coredns": "./coredns",
            "network-policy": "./network-policy",
            "pause": "./pause",
            "local-path-provisioner": "github.com/rancher/local-path-provisioner",
            "metrics-server": "sigs.k8s.io/metrics-server/cmd/metrics-server",
        },
    ),
    Tool(
        name="cert-manager",
        module="cert-manager",
        packages={
            "cert-manager-controller": "./controller",
            "cert-manager-webhook": "./webhook",
            "cert-manager-cainjector": "./cainjector",
            "cert-manager-acmesolver": "./acmesolver",
        },
        variables=_CERT_MANAGER_VERSION,
        everyday=False,
    ),
    Tool(
        name="seldon-operator",
        module="seldon",
        packages={"seldon-operator": "github.com/seldonio/seldon-core/operator"},
        everyday=False,
    ),
    Tool(
        name="pilot-agent",
        module="istio",
        packages={"pilot-agent": "istio.io/istio/pilot/cmd/pilot-agent"},
        variables=_ISTIO_VERSION,
        tags="agent,disable_pgv,grpcnotrace,retrynotrace",
        prepare=_lay_bootstrap,
        everyday=False,
    ),
    Tool(
        name="pilot-discovery",
        module="istio",
        packages={"pilot-discovery": "istio.io/istio/pilot/cmd/pilot-discovery"},
        variables=_ISTIO_VERSION,
        tags="vtprotobuf,disable_pgv",
        everyday=False,
    ),
)
