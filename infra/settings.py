"""Every setting of a stack: the only reader of the stack's config.

``python -m infra.settings`` prints the JSON Schema for editors, ``--write`` updates the generated
files. What the keys are is in ``sections``, how a wrong value is reported in ``config_errors``.
"""

import json
from pathlib import Path
from typing import Any, get_args

import pulumi
import yaml
from pulumi.runtime import config as engine
from pydantic import SecretStr, StrictBool, ValidationError
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from infra import rules
from infra.batches import NAMES as BATCH_NAMES
from infra.batches import Batch, BatchName
from infra.config_errors import PROJECT, foreign_key, from_validation, in_file, section, unknown_key
from infra.doors import FrontDoor
from infra.models import NAMES as MODEL_NAMES
from infra.models import Model, ModelName
from infra.people import Login, Notebooks, Tenant
from infra.sections import (
    Adopt,
    Aws,
    Budget,
    Cloud,
    Cluster,
    Database,
    Gcp,
    HostName,
    Images,
    Mlflow,
    NamespaceName,
    ObjectStore,
    Prices,
    Queueing,
    Section,
    Storage,
    Urn,
    setting,
)

ROOT = Path(__file__).resolve().parent.parent


class Settings(Section):
    """Everything a stack can be told."""

    cloud: Cloud = setting(
        Cloud.NONE,
        "Where work goes when the machines are full: the one line to change.",
        "one of none, aws, gcp",
    )
    namespace: NamespaceName = setting(
        "spillway",
        "Namespace the stack makes for the platform's own pods.",
        "lower-case letters, digits and '-', at most 63, not default and not kube-…",
    )
    protect: StrictBool = setting(
        True,
        "Refuse every plan that deletes or replaces a volume, its keys or its namespace.",
        "true or false",
    )
    domain: HostName | None = setting(
        None,
        "Domain of the front door: hub.…, mlflow.… and models.… lead through it. Without a domain "
        "there is no front door, and no models are served.",
        "a domain such as ds.example.com",
    )
    kubeconfig: SecretStr | None = setting(
        None,
        "Text of a kubeconfig, instead of the file on this machine: a secret.",
        "the text of a kubeconfig, stored with: pulumi config set --secret spillway:kubeconfig",
    )
    aws: Aws | None = setting(
        None,
        "The AWS account; may stand beside gcp.",
        "a map with: account, region, zones, network, nat, image",
    )
    gcp: Gcp | None = setting(
        None,
        "The Google Cloud project; may stand beside aws.",
        "a map with: project, region, zones, network, services, nat, image",
    )
    cluster: Cluster = setting(
        Cluster(),
        "Which cluster the stack is installed in.",
        "a map with: context, issuer, jwks, network, join, pools",
    )
    join_token: SecretStr | None = setting(
        None,
        "Agent token with which burst nodes join: a secret.",
        "a text, stored with: pulumi config set --secret spillway:joinToken",
    )
    queue: Queueing = setting(Queueing(), "The queue for GPUs.", "a map with: placement, replicas")
    images: Images = setting(
        Images(),
        "Where pods get their images from.",
        "a map with: registry, pullPolicy, tag, operators",
    )
    front_door: FrontDoor = setting(
        FrontDoor(),
        "The gateway in front of everything; needs domain.",
        "a map with: certificates, email, server, secret, nodePorts, replicas, revision",
    )
    storage: Storage = setting(Storage(), "How volumes are made.", "a map with: className")
    database: Database = setting(
        Database(), "The database for metadata.", "a map with: size, class, version, backupDays"
    )
    object_store: ObjectStore = setting(
        ObjectStore(), "The bucket for artifacts.", "a map with: size, keepDays"
    )
    mlflow: Mlflow = setting(
        Mlflow(),
        "The tracking server.",
        "a map with: replicas, workers, hosts, origins, nodePort",
    )
    login: Login | None = setting(
        None,
        "How people log in; without it there are no notebooks.",
        "a map with: provider, clientId, hostedDomain, organizations, issuer, usernameClaim, "
        "groupsClaim, scopes",
    )
    login_client_secret: SecretStr | None = setting(
        None,
        "Secret that the login's provider gave this platform.",
        "a text, stored with: pulumi config set --secret spillway:loginClientSecret",
    )
    notebooks: Notebooks = setting(
        Notebooks(),
        "The hub and the servers it starts.",
        "a map with: nodePort, homeSize, sizes, idle, namedServers, "
        "startSeconds, internet, prePull",
    )
    tenants: dict[NamespaceName, Tenant] = setting(
        {},
        "Teams, by the name of their namespace.",
        "a map of names (lower-case letters, digits and '-', at most 63) to: members, admins, "
        "quota, profiles, image, requirements",
    )
    models: dict[ModelName, Model] = setting(
        {},
        "Models that are served, by their names in addresses; needs domain.",
        f"a map of names ({MODEL_NAMES}) to: tenant, versions, strategy, replicas, "
        "autoscaling, resources, image, gpu, startSeconds, anonymous",
    )
    batch: dict[BatchName, Batch] = setting(
        {},
        "Tables that are scored with a model, by names of your own.",
        f"a map of names ({BATCH_NAMES}) to: tenant, model, input, output, schedule, resources, "
        "gpu",
    )
    budget: Budget = setting(
        Budget(), "What a plan may cost at most.", "a map with: idlePerMonth, burstPerHour"
    )
    prices: Prices = setting(Prices(), "What machines on-prem cost.", "a map with: onpremGpuHour")
    allow: tuple[Urn, ...] = setting(
        (),
        "Resources that a plan may delete or replace although they are precious.",
        "a list of URNs, such as urn:pulumi:prod::spillway::…",
    )
    adopt: Adopt = setting(Adopt(), "What exists already.", "a map with: bucket, database")

    def protects(self, component: str) -> bool:
        """Whether the component of this name is locked: not when ``allow`` names a part of it.

        So a resource is let go in two plans: one that takes the lock off, one that deletes it.
        """
        names = [urn.rpartition("::")[2] for urn in self.allow]
        return self.protect and not any(
            name == component or name.startswith(f"{component}-") for name in names
        )


def load() -> Settings:
    """Read and check the whole config of the stack; a ``RunError`` of one line if it is wrong."""
    config = {**engine.get_config_env(), **engine.CONFIG.get()}
    return _parse({key: str(value) for key, value in config.items()})


def read(path: Path) -> Settings:
    """The settings in a stack file, without an engine; secrets stay out. Errors as in ``load``."""
    project = _config_of(ROOT / "Pulumi.yaml")
    defaults = {f"{PROJECT}:{key}": value.get("default") for key, value in project.items()}
    own = _config_of(path)
    plain = {key: value for key, value in own.items() if not _encrypted(value)}
    with in_file(path.name):
        return _parse({**defaults, **plain})


def _encrypted(value: Any) -> bool:
    return isinstance(value, dict) and "secure" in value


def _config_of(file: Path) -> dict[str, Any]:
    content: Any = yaml.safe_load(file.read_text()) or {}
    return content.get("config") or {}


def _parse(config: dict[str, Any]) -> Settings:
    own: dict[str, Any] = {}
    for key in sorted(config):
        space, _, name = key.partition(":")
        if space == PROJECT:
            own[name] = _decode(name, config[key])
        else:
            foreign_key(key)
    if unknown := sorted(own.keys() - _fields().keys()):
        raise unknown_key((unknown[0],), own[unknown[0]], Settings)
    try:
        settings = Settings.model_validate(own)
    except ValidationError as error:
        # `from None`: pydantic's own text would print the value, secret or not.
        raise from_validation(error, Settings) from None
    rules.check(settings)
    return settings


def _fields() -> dict[str, FieldInfo]:
    return {to_camel(name): field for name, field in Settings.model_fields.items()}


def _decode(name: str, value: Any) -> Any:
    """The engine hands every value over as text: give all but texts their shape back."""
    if not isinstance(value, str):
        return value
    field = _fields().get(name)
    if _structured(field) or (field is None and value[:1] in ("{", "[")):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _structured(field: FieldInfo | None) -> bool:
    """Whether a setting is anything but a text."""
    if field is None:
        return False
    texts = (str, SecretStr, Cloud)
    types = (field.annotation, *get_args(field.annotation))
    return section(field) is not None or not any(kind in texts for kind in types)


def encrypted(secret: SecretStr | None) -> pulumi.Output[str] | None:
    """A secret setting as the engine should keep it."""
    return pulumi.Output.secret(secret.get_secret_value()) if secret else None


if __name__ == "__main__":
    from infra.schema import main

    main()
