"""What AWS would compute: enough of it, in its real form, for components to build on."""

from typing import Any

from pulumi.runtime import MockResourceArgs

ACCOUNT = "123456789012"
REGION = "eu-central-1"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret"


def outputs(args: MockResourceArgs) -> dict[str, Any]:
    """By the last part of the type; a resource without anything special has an ARN at least."""
    name = args.name
    match args.typ.rpartition(":")[2]:
        case "Bucket":
            bucket = args.inputs.get("bucket", f"{name}-1a2b3c4")
            return {"bucket": bucket, "arn": f"arn:aws:s3:::{bucket}"}
        case "Instance":
            identifier = args.inputs.get("identifier", f"{name}-1a2b3c4")
            return {
                "identifier": identifier,
                "address": f"{identifier}.c1a2b3c4d5e6.{REGION}.rds.amazonaws.com",
                "username": args.inputs.get("username", "found"),
                "masterUserSecrets": [
                    {
                        "secretArn": f"{SECRET}:rds!db-{name}-AbCdEf",
                        "kmsKeyId": args.inputs.get("masterUserSecretKmsKeyId", "arn:found-key"),
                    }
                ],
            }
        case "Key":
            return {"arn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{name}"}
        case "OpenIdConnectProvider":
            host = args.inputs["url"].removeprefix("https://")
            return {"arn": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{host}"}
        case "Repository":
            registry = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
            return {"repositoryUrl": f"{registry}/{args.inputs['name']}"}
        case "Role":
            return {"arn": f"arn:aws:iam::{ACCOUNT}:role/{name}"}
        case "VpnConnection":
            return {
                "tunnel1Address": "198.51.100.1",
                "tunnel2Address": "198.51.100.2",
                "presharedKeyArn": f"{SECRET}:s2svpn!{name}-AbCdEf",
            }
    return {"arn": f"arn:aws:service:{REGION}:{ACCOUNT}:{name}", "name": name}
