"""What Google Cloud would compute for the types that components use: ids, addresses, names."""

from collections.abc import Callable
from typing import Any

from pulumi.runtime import MockResourceArgs

NUMBER = "123456789012"
"""Of a project: IAM knows projects by number, people by name."""

COMPUTE = "https://www.googleapis.com/compute/v1/projects"
Outputs = Callable[[str, dict[str, Any]], dict[str, Any]]


def pool(inputs: dict[str, Any]) -> str:
    return (
        f"projects/{NUMBER}/locations/global/workloadIdentityPools/"
        f"{inputs['workloadIdentityPoolId']}"
    )


COMPUTED: dict[str, Outputs] = {
    "gcp:compute/instanceGroupManager:InstanceGroupManager": lambda name, inputs: {
        "instanceGroup": f"{COMPUTE}/x/zones/{inputs['zone']}/instanceGroups/{name}"
    },
    "gcp:compute/instanceTemplate:InstanceTemplate": lambda name, inputs: {
        "selfLinkUnique": f"{COMPUTE}/x/global/instanceTemplates/{name}?uniqueId=1"
    },
    "gcp:secretmanager/secret:Secret": lambda name, inputs: {
        "name": f"projects/{NUMBER}/secrets/{inputs['secretId']}"
    },
    "gcp:serviceaccount/account:Account": lambda name, inputs: {
        "email": f"{inputs['accountId']}@{inputs['project']}.iam.gserviceaccount.com"
    },
    "gcp:compute/haVpnGateway:HaVpnGateway": lambda name, _: {
        # Not in their order on purpose: nobody promises one.
        "vpnInterfaces": [
            {"id": 1, "ipAddress": "198.51.100.2"},
            {"id": 0, "ipAddress": "198.51.100.1"},
        ]
    },
    "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": lambda _, inputs: {"name": pool(inputs)},
    "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": lambda _, inputs: {
        "name": f"{pool(inputs)}/providers/{inputs['workloadIdentityPoolProviderId']}"
    },
    "gcp:projects/iAMCustomRole:IAMCustomRole": lambda _, inputs: {
        "name": f"projects/{inputs['project']}/roles/{inputs['roleId']}"
    },
    "gcp:servicenetworking/connection:Connection": lambda name, _: {
        "peering": "servicenetworking-googleapis-com"
    },
    "gcp:sql/databaseInstance:DatabaseInstance": lambda name, _: {"privateIpAddress": "10.97.0.3"},
}


def outputs(args: MockResourceArgs) -> dict[str, Any]:
    """A name for everything, and what is special to a type."""
    computed = COMPUTED.get(args.typ, lambda *_: {})
    return {"name": f"{args.name}-0badcaf", **computed(args.name, args.inputs)}
