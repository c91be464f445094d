"""What AWS would compute: enough of it, in its real form, for components to build on."""

from collections.abc import Callable
from typing import Any

from pulumi.runtime import MockResourceArgs

ACCOUNT = "123456789012"
REGION = "eu-central-1"
FOUND_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/found"
"""What encrypts the password of an instance that was there before."""


def outputs(args: MockResourceArgs) -> dict[str, Any]:
    """By the last part of the type; a resource without anything special has an ARN and a name."""
    computed = COMPUTED.get(args.typ.rpartition(":")[2], _named)
    return computed(args.name, args.inputs)


def _named(name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    return {"arn": arn("service", name), "name": name}


def _bucket(name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    bucket = inputs.get("bucket", f"{name}-1a2b3c4")
    return {"bucket": bucket, "arn": f"arn:aws:s3:::{bucket}"}


def _instance(name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    identifier = inputs.get("identifier", f"{name}-1a2b3c4")
    return {
        "identifier": identifier,
        "address": f"{identifier}.c1a2b3c4d5e6.{REGION}.rds.amazonaws.com",
        "username": "found",
        "masterUserSecrets": [
            {
                "secretArn": arn("secretsmanager", f"secret:rds!db-{name}-AbCdEf"),
                "kmsKeyId": inputs.get("masterUserSecretKmsKeyId", FOUND_KEY),
            }
        ],
    }


def _repository(name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    return {
        "repositoryUrl": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{inputs['name']}",
        "arn": arn("ecr", f"repository/{inputs['name']}"),
    }


def _tunnels(name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    return {
        "tunnel1Address": "198.51.100.1",
        "tunnel2Address": "198.51.100.2",
        "presharedKeyArn": arn("secretsmanager", f"secret:s2svpn!{name}-AbCdEf"),
    }


def arn(service: str, what: str, region: str = REGION) -> str:
    """As AWS writes it."""
    return f"arn:aws:{service}:{region}:{ACCOUNT}:{what}"


COMPUTED: dict[str, Callable[[str, dict[str, Any]], dict[str, Any]]] = {
    "Bucket": _bucket,
    "Instance": _instance,
    "InstanceProfile": lambda name, inputs: {
        "arn": arn("iam", f"instance-profile/{name}", region="")
    },
    "Key": lambda name, inputs: {"arn": arn("kms", f"key/{name}")},
    "OpenIdConnectProvider": lambda name, inputs: {
        "arn": arn("iam", f"oidc-provider/{inputs['url'].removeprefix('https://')}", region="")
    },
    "Repository": _repository,
    "Role": lambda name, inputs: {"arn": arn("iam", f"role/{name}", region="")},
    "Secret": lambda name, inputs: {"arn": arn("secretsmanager", f"secret:{name}-AbCdEf")},
    "VpnConnection": _tunnels,
}
