"""How a pod shows Google the token that the cluster signed for it."""

import pulumi
import pulumi_kubernetes as k8s

from components.gcp import api
from components.labels import labels, metadata
from components.shapes import Login

MOUNT = "/var/run/secrets/spillway.dev/google"
FILE = "credentials.json"
TOKEN = "token"  # noqa: S105 - the name of a file
TOKEN_SECONDS = 3600
"""The kubelet renews it in time; Google takes none that lives for more than a day."""
VOLUME = "google-login"


def credentials(
    name: str,
    namespace: pulumi.Input[str],
    audience: pulumi.Output[str],
    parent: pulumi.Resource,
    *,
    instance: str,
) -> k8s.core.v1.ConfigMap:
    """Where the token lies and who exchanges it: what Google's clients read instead of a key.

    ``instance`` is what its labels say. https://google.aip.dev/auth/4117
    """
    content = pulumi.Output.json_dumps(
        {
            "universe_domain": "googleapis.com",
            "type": "external_account",
            "audience": audience,
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": "https://sts.googleapis.com/v1/token",
            "credential_source": {"file": f"{MOUNT}/{TOKEN}", "format": {"type": "text"}},
        }
    )
    return k8s.core.v1.ConfigMap(
        f"{name}-login",
        metadata=metadata(namespace, labels("identity", instance, "login")),
        data={FILE: content},
        opts=pulumi.ResourceOptions(parent=parent),
    )


def login(project: str, audience: pulumi.Output[str], file: pulumi.Output[str]) -> Login:
    """What a pod carries, with the credentials in a ConfigMap of this name."""
    return Login(
        environment={
            "GOOGLE_APPLICATION_CREDENTIALS": f"{MOUNT}/{FILE}",
            # Federated credentials name none, and Google's client asks for one.
            "GOOGLE_CLOUD_PROJECT": project,
        },
        volumes=[_volume(audience, file)],
        mounts=[{"name": VOLUME, "mount_path": MOUNT, "read_only": True}],
        egress=[api.egress()],
    )


def _volume(audience: pulumi.Output[str], file: pulumi.Output[str]) -> k8s.core.v1.VolumeArgsDict:
    return {
        "name": VOLUME,
        "projected": {
            "sources": [
                {
                    "service_account_token": {
                        # The provider takes its name with or without the scheme.
                        "audience": pulumi.Output.concat("https:", audience),
                        "expiration_seconds": TOKEN_SECONDS,
                        "path": TOKEN,
                    }
                },
                {"config_map": {"name": file, "items": [{"key": FILE, "path": FILE}]}},
            ]
        },
    }
