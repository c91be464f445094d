"""A stack on its cluster: what ``make up``, ``preview``, ``down`` and ``destroy`` do."""

import ipaddress
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.markdown import Markdown

from rig import cluster, gateway, images, paths, plugin_home, promotion, reasons, stack, toolchain
from rig.errors import RigError
from rig.node import addons, loopback
from rig.steps import console, step

_IDENTITY = """\
export MLFLOW_TRACKING_TOKEN=$(KUBECONFIG={kubeconfig} {kubectl} create token notebook -n {tenant})
export MLFLOW_WORKSPACE={tenant}
"""
"""Where tenants are kept apart: one of their accounts, believed for an hour."""
_DEFINITION = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"
_SNIPPET = """\
export MLFLOW_TRACKING_URI={url}
.venv/bin/python - <<'END'
import mlflow
mlflow.set_experiment("first")
mlflow.log_params({{"lr": 0.1}})
mlflow.log_metric("loss", 0.5)
END"""


@dataclass(frozen=True)
class Platform:
    """One stack of this checkout, and the cluster it runs on."""

    name: str
    project: Path = paths.ROOT
    """The folder of Pulumi.yaml; the tests have one of their own, with another network."""

    @property
    def config(self) -> Path:
        """The stack's file."""
        return self.project / f"Pulumi.{self.name}.yaml"

    @property
    def settings(self) -> dict[str, Any]:
        """Its configuration as written; checked by the program, not here."""
        if not self.config.exists():
            known = sorted(f.name.split(".")[1] for f in self.project.glob("Pulumi.*.yaml"))
            raise RigError(
                f"STACK={self.name}: no {self.config.name}; there are {', '.join(known)}"
            )
        try:
            document: Any = yaml.safe_load(self.config.read_text())
        except yaml.YAMLError as error:
            raise RigError(f"{self.config.name}: {str(error).splitlines()[-1].strip()}") from error
        settings: dict[str, Any] = (document or {}).get("config") or {}
        return settings

    @property
    def own_cluster(self) -> bool:
        """Whether the user named a cluster; else the rig is it."""
        cluster = self.settings.get("spillway:cluster")
        named = isinstance(cluster, dict) and bool(cluster.get("context"))
        return named or "spillway:kubeconfig" in self.settings

    def up(self) -> None:
        """Cluster, images, then the engine's ``up``; at the end what runs where."""
        programs = self._setup()
        with nullcontext() if self.own_cluster else self._node(programs):
            pulumi = self._stack(programs)
            console.print(f"→ pulumi up --stack {self.name}")
            try:
                stack.up(pulumi)
            except stack.StackError:
                self._say_why(programs["kubectl"])
                raise
        self._summary(stack.outputs(pulumi), programs["kubectl"])

    def _say_why(self, kubectl: Path) -> None:
        """What the engine cannot know, where models are served."""
        if not self.settings.get("spillway:models") or "spillway:kubeconfig" in self.settings:
            return
        for line in reasons.of_models(self._kubectl(kubectl)):
            console.print(f"  {line}", soft_wrap=True, markup=False)

    def _kubectl(self, program: Path) -> addons.Cluster:
        """The stack's cluster."""
        if not self.own_cluster:
            return addons.Cluster(program, cluster.Rig().layout.kubeconfig)
        if "spillway:kubeconfig" in self.settings:
            raise RigError(
                f"STACK={self.name}: its cluster is known by a secret (spillway:kubeconfig); name "
                "a context of your own instead (spillway:cluster.context)"
            )
        return addons.Cluster(program, context=self.settings["spillway:cluster"]["context"])

    @contextmanager
    def _node(self, programs: dict[str, Path]) -> Generator[None]:
        """The rig, with the images for tracking; the others arrive while the engine works."""
        node = cluster.Rig()
        check_nodes(self.settings, node.layout.address, self.config.name)
        names = images.wanted(self.settings)
        archives = cluster.build_images(names, programs)
        first = images.platform_images()
        node.start(archives[name] for name in first)
        if ports := _door_ports(self.settings):
            loopback.publish(node.layout, ports)
        with node.loading(archive for name, archive in archives.items() if name not in first):
            yield

    def preview(self, extra: list[str]) -> None:
        """What an ``up`` would change. Needs the cluster, for the engine compares with it."""
        programs = self._with_cluster()
        stack.up(self._stack(programs), preview_only=True, extra=extra)

    def judge(self, report: Path | None = None) -> int:
        """Plan, and let the gate say what it thinks of it: 0 fine, 1 refused, 2 no verdict."""
        from infra import gate, settings  # noqa: PLC0415 - the SDK takes a second to import

        programs = self._with_cluster()
        with step("planning"):
            plan = stack.plan(self._stack(programs))
        verdict = gate.judge(plan, settings.read(self.config))
        if report:
            report.write_text(verdict.markdown)
        console.print(
            Markdown(verdict.markdown) if console.is_terminal else verdict.markdown, markup=False
        )
        return verdict.exit_code

    def promote(self, model: str, rule: promotion.Rule, seconds: int) -> bool:
        """Watch a model's two versions, then give all requests to the one that did well.

        Whether that is the new one. With too few requests to say so, nothing changes.
        """
        programs = self._with_cluster()
        kubectl = self._kubectl(programs["kubectl"])
        chosen = promotion.choice(self.settings, model, self.config.name)
        with step(f"watching {model} for {seconds} s"):
            old, new = promotion.watch(chosen, lambda: gateway.read(kubectl), seconds)
        console.print(promotion.table(chosen, (old, new)))
        if new.requests < rule.requests:
            raise RigError(
                f"MODEL={model}: the new version got {new.requests} requests, and {rule.requests} "
                "are needed to judge it; nothing was changed. Watch longer (--seconds), or give it "
                f"more traffic in {self.config.name}"
            )
        reasons = rule.broken_by(old, new)
        for reason in reasons:
            console.print(f"✗ {reason}", markup=False)
        shares = (promotion.ALL, 0) if reasons else (0, promotion.ALL)
        console.print(f"→ {model}: {shares[0]} % old, {shares[1]} % new, in {self.config.name}")
        pulumi = self._stack(programs)
        stack.configure(
            pulumi,
            {f'models["{model}"].versions[{at}].traffic': share for at, share in enumerate(shares)},
        )
        self.up()
        return not reasons

    def destroy(self) -> None:
        """Delete all that the stack made, data included."""
        pulumi = self._stack(self._with_cluster())
        kept = stack.retained(pulumi)
        stack.destroy(pulumi)
        for line in remains(kept):
            console.print(line, soft_wrap=True, markup=False)

    def environment(self) -> dict[str, str]:
        """Variables with which ``pulumi`` and ``kubectl`` work by hand."""
        return self._environment(self._setup())

    def _with_cluster(self) -> dict[str, Path]:
        """The programs, with a cluster for the engine to compare with."""
        programs = self._setup()
        if not self.own_cluster and not cluster.Rig().running:
            cluster.Rig().start()
        return programs

    def _setup(self) -> dict[str, Path]:
        # A cluster of the user's own needs the engine alone.
        return toolchain.ensure_all(toolchain.ENGINE) if self.own_cluster else cluster.setup()

    def _environment(self, programs: dict[str, Path]) -> dict[str, str]:
        state = paths.state_dir()
        kubeconfig = None if self.own_cluster else cluster.Rig().layout.kubeconfig
        plugins = plugin_home.for_stacks(programs, self.settings.get("spillway:cloud", "none"))
        folders = [toolchain.engine(programs), programs["kubectl"].parent]
        env = stack.environment(state, tools=folders, kubeconfig=kubeconfig)
        if env.get("PULUMI_HOME") == str(state / "pulumi-home"):
            plugin_home.link(state / "pulumi-home", plugins)
            return env
        # A backend and a home of the user's own: left alone, so the plugins go on PATH.
        folders += [path.parent for path in plugins.values()]
        return stack.environment(state, tools=folders, kubeconfig=kubeconfig)

    def _stack(self, programs: dict[str, Path]) -> stack.Stack:
        return stack.Stack(
            project=self.project,
            state=paths.state_dir(),
            env=self._environment(programs),
            name=self.name,
        )

    def password(self) -> str:
        """Of the login that everybody shares, in a stack that has one."""
        outputs = stack.outputs(self._stack(self._setup()), show_secrets=True)
        if not outputs.get("hubPassword"):
            raise RigError(
                f"STACK={self.name} has no shared password: people log in with their provider's, "
                "or the stack is not up"
            )
        return outputs["hubPassword"]

    def _summary(self, outputs: dict[str, Any], kubectl: Path) -> None:
        """What runs where, and a few lines that log a run."""
        console.rule("Spillway is up")
        hub, tracking = outputs.get("hubUrl"), outputs["mlflowTrackingUri"]
        if self.own_cluster or not outputs.get("mlflowNodePort"):
            if hub:
                console.print(f"Hub      {hub}  (inside the cluster)")
            console.print(f"MLflow   {tracking}  (inside the cluster)")
            return
        layout = cluster.Rig().layout
        for line in summary(outputs, layout.address, layout.kubeconfig):
            console.print(line, soft_wrap=True, markup=False)
        console.print("\nLog a run:\n")
        tenant = next(iter(self.settings.get("spillway:tenants") or {}), None)
        url = f"http://{layout.address}:{outputs['mlflowNodePort']}"
        for line in snippet(url, tenant, kubectl, layout.kubeconfig):
            console.print(f"    {line}", soft_wrap=True, markup=False)
        console.print("\nmake down stops it and keeps the data; make up brings it back.")


def summary(outputs: Mapping[str, Any], address: str, kubeconfig: Path) -> list[str]:
    """What runs where, on the node at ``address``; a stack may have no hub."""
    namespace = outputs["namespace"]
    lines = list[str]()
    if door := outputs.get("frontDoor"):
        lines += [f"Front door {url}" for url in door.values()]
    if port := outputs.get("hubNodePort"):
        shared = ", password: bin/rig password" if outputs.get("hubPassword") else ""
        lines.append(f"Hub        http://{address}:{port}  (members of spillway:tenants{shared})")
    tracking = f"http://{address}:{outputs['mlflowNodePort']}"
    return [
        *lines,
        f"MLflow     {tracking}  (from pods: {outputs['mlflowTrackingUri']})",
        f"Postgres   database.{namespace}.svc:5432, for the platform alone",
        f"S3 store   object-store.{namespace}.svc:7070, for the platform and tenants",
        f"Cluster    export KUBECONFIG={kubeconfig}",
        'Engine     eval "$(bin/rig env)", then pulumi and kubectl work by hand',
    ]


def remains(kept: Mapping[str, Sequence[str]]) -> list[str]:
    """What a destroy left in the cluster (`stack.retained`), and how to delete it, too."""
    lines = [f"kept: {kind} {name}" for kind in kept if kind != _DEFINITION for name in kept[kind]]
    if definitions := kept.get(_DEFINITION):
        lines += [
            f"kept: {len(definitions)} definitions of kinds, with which all objects of these kinds "
            "would go, also other people's. Where nobody else has any: "
            f"kubectl delete crd {' '.join(definitions)}"
        ]
    return lines


def snippet(url: str, tenant: str | None, kubectl: Path, kubeconfig: Path) -> list[str]:
    """Shell that logs a run, as an account of ``tenant`` where there are tenants."""
    words = {"url": url, "tenant": tenant, "kubectl": kubectl, "kubeconfig": kubeconfig}
    text = (_IDENTITY if tenant else "") + _SNIPPET
    return text.format(**words).splitlines()


def _door_ports(settings: Mapping[str, Any]) -> list[int]:
    """Node ports of the front door, as written; what is wrong with them the program says."""
    door = settings.get("spillway:frontDoor") if settings.get("spillway:domain") else None
    ports = door.get("nodePorts") if isinstance(door, dict) else None
    return [p for p in ports.values() if isinstance(p, int)] if isinstance(ports, dict) else []


def check_nodes(settings: Mapping[str, Any], address: str, file: str) -> None:
    """Whether the stack file's nodes are this rig's: pods ask the API server there alone."""
    section = settings.get("spillway:cluster")
    network = section.get("network") if isinstance(section, dict) else None
    nodes = network.get("nodes") if isinstance(network, dict) else None
    try:
        fits = nodes is None or ipaddress.ip_address(address) in ipaddress.ip_network(nodes)
    except ValueError:
        return  # the program says more about it
    if not fits:
        raise RigError(
            f"spillway:cluster.network.nodes is {nodes}, but this rig's node is {address}: "
            f"put {address}/32 there, and its pods' network beside it. Fix it in {file}."
        )
