"""What the stand-ins of the clouds refuse, and that the same thing passes without the mistake.

Every row names a good resource, what is wrong with it, and what the user is told.
"""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from cloudbed import Player, play
from pulumi.runtime.proto import provider_pb2 as wire

from rig.plugins.cloud.seed import Context
from rig.plugins.values import UNKNOWN, Secret, to_struct

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/oidc.example.com"},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {"oidc.example.com:aud": "sts.amazonaws.com"},
                "StringLike": {"oidc.example.com:sub": "system:serviceaccount:vision:*"},
            },
        }
    ],
}
ACCESS = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}],
}


def trust(**changed: Any) -> str:
    found = copy.deepcopy(TRUST)
    found["Statement"][0] |= changed
    return json.dumps(found)


def access(**changed: Any) -> str:
    found = copy.deepcopy(ACCESS)
    found["Statement"][0] |= changed
    return json.dumps(found)


KEY = "arn:aws:kms:eu-central-1:123456789012:key/0123"
TAINT_TAG = {
    "key": "k8s.io/cluster-autoscaler/node-template/taint/a",
    "value": "true",
    "propagateAtLaunch": False,
}
GOOD: dict[str, dict[str, Any]] = {
    "aws:secretsmanager/secretVersion:SecretVersion": {
        "secretId": UNKNOWN,
        "secretStringWo": Secret("agent-token-1"),
        "secretStringWoVersion": 1,
    },
    "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember": {
        "repository": "images",
        "location": "europe-west3",
        "role": "roles/artifactregistry.reader",
        "member": "serviceAccount:nodes@example-ds.iam.gserviceaccount.com",
    },
    "aws:ec2/vpc:Vpc": {"cidrBlock": "10.64.0.0/16", "tags": {"a": "b"}},
    "aws:ec2/subnet:Subnet": {
        "vpcId": UNKNOWN,
        "cidrBlock": "10.64.0.0/20",
        "availabilityZone": "eu-central-1a",
    },
    "aws:ec2/securityGroup:SecurityGroup": {"vpcId": UNKNOWN, "name": "db", "description": "x"},
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": {
        "securityGroupId": UNKNOWN,
        "ipProtocol": "tcp",
        "fromPort": 5432,
        "toPort": 5432,
        "cidrIpv4": "10.10.0.0/16",
    },
    "aws:ec2/route:Route": {
        "routeTableId": UNKNOWN,
        "destinationCidrBlock": "0.0.0.0/0",
        "natGatewayId": UNKNOWN,
    },
    "aws:ec2/vpcEndpoint:VpcEndpoint": {
        "vpcId": UNKNOWN,
        "vpcEndpointType": "Gateway",
        "serviceName": "com.amazonaws.eu-central-1.s3",
        "routeTableIds": [UNKNOWN],
    },
    "aws:ec2/natGateway:NatGateway": {"subnetId": UNKNOWN, "allocationId": UNKNOWN},
    "aws:ec2/customerGateway:CustomerGateway": {
        "type": "ipsec.1",
        "ipAddress": "203.0.113.10",
        "bgpAsn": "65010",
    },
    "aws:ec2/vpnGateway:VpnGateway": {"vpcId": UNKNOWN, "amazonSideAsn": "64512"},
    "aws:ec2/vpnConnection:VpnConnection": {
        "type": "ipsec.1",
        "vpnGatewayId": UNKNOWN,
        "customerGatewayId": UNKNOWN,
        "tunnel1InsideCidr": "169.254.10.0/30",
        "tunnel1IkeVersions": ["ikev2"],
        "tunnel1PresharedKey": Secret("abcdefgh1234"),
        "presharedKeyStorage": "SecretsManager",
    },
    "aws:rds/instance:Instance": {
        "identifier": "mlflow",
        "engine": "postgres",
        "engineVersion": "17",
        "instanceClass": "db.t4g.medium",
        "allocatedStorage": 50,
        "maxAllocatedStorage": 100,
        "storageType": "gp3",
        "storageEncrypted": True,
        "kmsKeyId": KEY,
        "dbName": "mlflow",
        "username": "mlflow",
        "manageMasterUserPassword": True,
        "multiAz": True,
        "backupRetentionPeriod": 14,
        "finalSnapshotIdentifier": "mlflow-final-1",
        "skipFinalSnapshot": False,
        "caCertIdentifier": "rds-ca-rsa2048-g1",
        "port": 5432,
    },
    "aws:rds/subnetGroup:SubnetGroup": {"name": "db", "subnetIds": [UNKNOWN, UNKNOWN]},
    "aws:rds/parameterGroup:ParameterGroup": {
        "name": "db",
        "family": "postgres17",
        "parameters": [{"name": "rds.force_ssl", "value": "1"}],
    },
    "aws:kms/key:Key": {"deletionWindowInDays": 30, "enableKeyRotation": True},
    "aws:s3/bucket:Bucket": {"bucket": "spillway-artifacts"},
    "aws:s3/bucketVersioning:BucketVersioning": {
        "bucket": UNKNOWN,
        "versioningConfiguration": {"status": "Enabled"},
    },
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": {
        "bucket": UNKNOWN,
        "rules": [
            {
                "id": "old",
                "status": "Enabled",
                "noncurrentVersionExpiration": {"noncurrentDays": 30},
            }
        ],
    },
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": {
        "bucket": UNKNOWN,
        "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}],
    },
    "aws:s3/bucketPolicy:BucketPolicy": {
        "bucket": "b",
        "policy": access(Principal="*"),
    },
    "aws:iam/role:Role": {"name": "tenant", "assumeRolePolicy": trust()},
    "aws:iam/rolePolicy:RolePolicy": {"role": UNKNOWN, "policy": access()},
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": {
        "url": "https://oidc.example.com",
        "clientIdLists": ["sts.amazonaws.com"],
    },
    "aws:ecr/repository:Repository": {
        "name": "spillway/prod/mlflow",
        "imageTagMutability": "IMMUTABLE",
    },
    "aws:ec2/launchTemplate:LaunchTemplate": {
        "name": "burst",
        "imageId": "ami-0123456789abcdef0",
        "instanceType": "g6.xlarge",
        "userData": "Iy==",
        "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1},
    },
    "aws:autoscaling/group:Group": {
        "name": "burst",
        "minSize": 0,
        "maxSize": 8,
        "vpcZoneIdentifiers": [UNKNOWN],
        "launchTemplate": {"id": UNKNOWN},
    },
    "gcp:compute/network:Network": {"name": "net", "routingMode": "GLOBAL"},
    "gcp:compute/subnetwork:Subnetwork": {
        "name": "sub",
        "network": UNKNOWN,
        "ipCidrRange": "10.96.0.0/20",
        "region": "europe-west3",
    },
    "gcp:compute/globalAddress:GlobalAddress": {
        "name": "psa",
        "purpose": "VPC_PEERING",
        "addressType": "INTERNAL",
        "network": UNKNOWN,
        "address": "10.97.0.0",
        "prefixLength": 20,
        "labels": {"team": "ml"},
    },
    "gcp:compute/router:Router": {
        "name": "r",
        "network": UNKNOWN,
        "bgp": {
            "asn": 64514,
            "advertiseMode": "CUSTOM",
            "advertisedGroups": ["ALL_SUBNETS"],
            "advertisedIpRanges": [{"range": "10.97.0.0/20"}],
        },
    },
    "gcp:compute/routerNat:RouterNat": {
        "name": "nat",
        "router": "r",
        "natIpAllocateOption": "AUTO_ONLY",
        "sourceSubnetworkIpRangesToNat": "ALL_SUBNETWORKS_ALL_IP_RANGES",
    },
    "gcp:compute/externalVpnGateway:ExternalVpnGateway": {
        "name": "peer",
        "redundancyType": "SINGLE_IP_INTERNALLY_REDUNDANT",
        "interfaces": [{"id": 0, "ipAddress": "203.0.113.10"}],
    },
    "gcp:compute/vPNTunnel:VPNTunnel": {
        "name": "t",
        "vpnGateway": UNKNOWN,
        "vpnGatewayInterface": 0,
        "peerExternalGateway": UNKNOWN,
        "peerExternalGatewayInterface": 0,
        "router": UNKNOWN,
        "ikeVersion": 2,
        "sharedSecretWo": Secret("sesame-open"),
        "sharedSecretWoVersion": "1",
    },
    "gcp:compute/routerInterface:RouterInterface": {
        "name": "i",
        "router": "r",
        "ipRange": "169.254.64.1/30",
        "vpnTunnel": UNKNOWN,
    },
    "gcp:compute/routerPeer:RouterPeer": {
        "name": "p",
        "router": "r",
        "interface": "i",
        "peerAsn": 65010,
        "peerIpAddress": "169.254.64.2",
    },
    "gcp:servicenetworking/connection:Connection": {
        "network": UNKNOWN,
        "service": "servicenetworking.googleapis.com",
        "reservedPeeringRanges": ["psa"],
        "deletionPolicy": "ABANDON",
    },
    "gcp:sql/databaseInstance:DatabaseInstance": {
        "name": "mlflow",
        "databaseVersion": "POSTGRES_17",
        "settings": {
            "tier": "db-custom-2-8192",
            "edition": "ENTERPRISE",
            "availabilityType": "REGIONAL",
            "diskType": "PD_SSD",
            "diskSize": 50,
            "backupConfiguration": {
                "enabled": True,
                "pointInTimeRecoveryEnabled": True,
                "transactionLogRetentionDays": 7,
                "backupRetentionSettings": {"retainedBackups": 14, "retentionUnit": "COUNT"},
            },
            "ipConfiguration": {
                "ipv4Enabled": False,
                "privateNetwork": "projects/example-ds/global/networks/net",
                "sslMode": "ENCRYPTED_ONLY",
            },
            "userLabels": {"stack": "prod"},
        },
    },
    "gcp:sql/user:User": {
        "name": "mlflow",
        "instance": "mlflow",
        "passwordWo": Secret("open sesame"),
        "passwordWoVersion": 1,
    },
    "gcp:storage/bucket:Bucket": {
        "name": "spillway-artifacts",
        "location": "EUROPE-WEST3",
        "publicAccessPrevention": "enforced",
        "softDeletePolicy": {"retentionDurationSeconds": 604800},
        "lifecycleRules": [{"action": {"type": "Delete"}, "condition": {"age": 7}}],
        "labels": {"team": "ml"},
    },
    "gcp:storage/managedFolder:ManagedFolder": {"name": "tenants/vision/", "bucket": UNKNOWN},
    "gcp:storage/managedFolderIamMember:ManagedFolderIamMember": {
        "bucket": UNKNOWN,
        "managedFolder": "tenants/vision/",
        "role": "roles/storage.objectUser",
        "member": "principalSet://iam.googleapis.com/projects/123/locations/global/"
        "workloadIdentityPools/onprem/attribute.namespace/vision",
    },
    "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": {"workloadIdentityPoolId": "onprem-k8s"},
    "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": {
        "workloadIdentityPoolId": UNKNOWN,
        "workloadIdentityPoolProviderId": "kubernetes",
        "attributeMapping": {
            "google.subject": "assertion.sub",
            "attribute.namespace": "assertion['kubernetes.io']['namespace']",
        },
        "attributeCondition": "attribute.namespace in ['mlflow']",
        "oidc": {
            "issuerUri": "https://oidc.example.com",
            "jwksJson": '{"keys": [{"kty": "RSA", "n": "sX", "e": "AQAB"}]}',
        },
    },
    "gcp:projects/iAMCustomRole:IAMCustomRole": {
        "roleId": "autoscaler_1",
        "title": "CA",
        "permissions": ["compute.instances.get"],
    },
    "gcp:secretmanager/secret:Secret": {"secretId": "vpn-key", "replication": {"auto": {}}},
    "gcp:artifactregistry/repository:Repository": {
        "repositoryId": "images",
        "location": "europe-west3",
        "format": "DOCKER",
    },
    "gcp:compute/instanceTemplate:InstanceTemplate": {
        "name": "burst",
        "machineType": "g2-standard-8",
        "disks": [{"sourceImage": "i", "diskSizeGb": 200}],
        "scheduling": {
            "provisioningModel": "SPOT",
            "preemptible": True,
            "automaticRestart": False,
            "onHostMaintenance": "TERMINATE",
        },
        "metadata": {"kube-env": 'AUTOSCALER_ENV_VARS: "os=linux;arch=amd64"\n'},
    },
    "gcp:compute/instanceGroupManager:InstanceGroupManager": {
        "name": "burst",
        "baseInstanceName": "burst",
        "zone": "europe-west3-a",
        "targetSize": 0,
        "versions": [{"instanceTemplate": UNKNOWN}],
    },
}


class Absent:
    """Stands for a property that is left out."""

    def __repr__(self) -> str:
        return "nothing"


NOT_GIVEN = Absent()


def mistake(short: str, said: str, changes: dict[str, Any]) -> Any:
    cloud, _, kind = short.rpartition(" ")
    [token] = [t for t in GOOD if t.endswith(f":{kind}") and t.startswith(cloud)]
    name = " ".join(f"{path}={value}" for path, value in changes.items())
    return pytest.param(token, changes, said, id=f"{short} {name}"[:90])


MISTAKES = [
    # names and types, by the SDK
    mistake("Vpc", "cidrBlok is not a property of aws:ec2/vpc:Vpc; did you mean 'cidrBlock'?",
            {"cidrBlok": "10.0.0.0/16"}),
    mistake("Vpc", "enableDnsSupport must be true or false", {"enableDnsSupport": "yes"}),
    mistake("Vpc", "tags must be a map", {"tags": ["a"]}),
    mistake("Vpc", "tags.a must be text", {"tags": {"a": 1}}),
    mistake("Instance", "instanceClass is required", {"instanceClass": NOT_GIVEN}),
    mistake("Instance", "allocatedStorage must be a whole number", {"allocatedStorage": 50.5}),
    mistake("BucketLifecycleConfiguration", "rules[0].statuss is not a property of rules[0]; "
            "did you mean 'status'?", {"rules[0].statuss": "Enabled"}),
    mistake("BucketLifecycleConfiguration", "rules[0].status is required",
            {"rules[0].status": NOT_GIVEN}),
    mistake("BucketLifecycleConfiguration", "rules must be a list", {"rules": {"id": "x"}}),
    mistake("DatabaseInstance", "settings.diskSize must be a whole number",
            {"settings.diskSize": "50"}),
    mistake("DatabaseInstance", "did you mean 'ipConfiguration'?",
            {"settings.ipConfigurations": {}}),
    # addresses
    mistake("Vpc", "has host bits set: 10.64.0.0/16 is the network", {"cidrBlock": "10.64.0.1/16"}),
    mistake("Vpc", "must be a /16 to a /28", {"cidrBlock": "10.0.0.0/8"}),
    mistake("Vpc", "must be a CIDR such as", {"cidrBlock": "10.64.0.0"}),
    mistake("Subnet", "must be a /16 to a /28", {"cidrBlock": "10.64.0.0/29"}),
    mistake("Subnet", "'us-east-1a' is not a zone of eu-central-1",
            {"availabilityZone": "us-east-1a"}),
    mistake("Subnetwork", "must be a /4 to a /29", {"ipCidrRange": "10.96.0.0/30"}),
    mistake("Subnetwork", "which no subnet may use", {"ipCidrRange": "169.254.0.0/20"}),
    mistake("GlobalAddress", "'10.97.0.1' is not the first of a /20", {"address": "10.97.0.1"}),
    mistake("GlobalAddress", "must be INTERNAL with purpose VPC_PEERING",
            {"addressType": "EXTERNAL"}),
    mistake("CustomerGateway", "must be a public address, not a private one",
            {"ipAddress": "10.1.2.3"}),
    mistake("ExternalVpnGateway", "must be an IPv4 address",
            {"interfaces": [{"id": 0, "ipAddress": "vpn.example.com"}]}),
    # routes, groups, gateways
    mistake("Route", "a route has exactly one of gatewayId", {"gatewayId": UNKNOWN}),
    mistake("Route", "a route has exactly one of destinationCidrBlock",
            {"destinationCidrBlock": NOT_GIVEN}),
    mistake("SecurityGroup", "not sg- at first", {"name": "sg-database"}),
    mistake("SecurityGroupIngressRule", "5433 is above toPort 5432", {"fromPort": 5433}),
    mistake("SecurityGroupIngressRule", "exactly one of cidrIpv4",
            {"referencedSecurityGroupId": "sg-1"}),
    mistake("SecurityGroupIngressRule", "toPort is required with protocol tcp",
            {"toPort": NOT_GIVEN}),
    mistake("VpcEndpoint", "is not a service of eu-central-1",
            {"serviceName": "com.amazonaws.us-east-1.s3"}),
    mistake("VpcEndpoint", "has no Gateway endpoint",
            {"serviceName": "com.amazonaws.eu-central-1.ecr"}),
    mistake("NatGateway", "allocationId is required for a public NAT gateway",
            {"allocationId": NOT_GIVEN}),
    mistake("RouterNat", "natIps is required with natIpAllocateOption MANUAL_ONLY",
            {"natIpAllocateOption": "MANUAL_ONLY"}),
    # VPN
    mistake("VpnGateway", "must be private", {"amazonSideAsn": "65535"}),
    mistake("CustomerGateway", "must be 1 to 2147483647", {"bgpAsn": "4200000000"}),
    mistake("CustomerGateway", "bgpAsn conflicts with bgpAsnExtended",
            {"bgpAsnExtended": "4200000000"}),
    mistake("VpnConnection", "must be a /30 of 169.254.0.0/16",
            {"tunnel1InsideCidr": "10.0.0.0/30"}),
    mistake("VpnConnection", "is AWS' own", {"tunnel1InsideCidr": "169.254.5.0/30"}),
    mistake("VpnConnection", "must be one of ikev1, ikev2", {"tunnel1IkeVersions": ["ikev3"]}),
    mistake("VpnConnection", "tunnel1PresharedKey must be 8 to 64 characters",
            {"tunnel1PresharedKey": Secret("0short")}),
    mistake("Router", "must be private", {"bgp.asn": 174}),
    mistake("Router", "needs bgp.advertiseMode CUSTOM", {"bgp.advertiseMode": "DEFAULT"}),
    mistake("ExternalVpnGateway", "TWO_IPS_REDUNDANCY has 2, not 1",
            {"redundancyType": "TWO_IPS_REDUNDANCY"}),
    mistake("VPNTunnel", "router is required for a tunnel of an HA VPN gateway",
            {"router": NOT_GIVEN}),
    mistake("VPNTunnel", "must be 0 to 1", {"vpnGatewayInterface": 2}),
    mistake("VPNTunnel", "sharedSecret is required", {"sharedSecretWo": NOT_GIVEN}),
    mistake("RouterInterface", "of 169.254.0.0/16", {"ipRange": "10.0.0.1/30"}),
    mistake("RouterInterface", "not the first or last", {"ipRange": "169.254.64.0/30"}),
    mistake("RouterPeer", "must be 1 to 4294967295", {"peerAsn": 0}),
    # databases
    mistake("Instance", "20 to 65536", {"allocatedStorage": 10}),
    mistake("Instance", "at least 10 % above allocatedStorage 50", {"maxAllocatedStorage": 50}),
    mistake("Instance", "can be chosen for gp3 from 400 GiB on", {"iops": 4000}),
    mistake("Instance", "must be such as db.t4g.medium", {"instanceClass": "t4g.medium"}),
    mistake("Instance", "db.t4g has no size 'nano'", {"instanceClass": "db.t4g.nano"}),
    mistake("Instance", "oracle-se2 does not run on Graviton", {"engine": "oracle-se2"}),
    mistake("Instance", "RDS has no PostgreSQL 9", {"engineVersion": "9"}),
    mistake("Instance", "must be 0 to 35 days", {"backupRetentionPeriod": 36}),
    mistake("Instance", "identifier 'My_DB' must be", {"identifier": "My_DB"}),
    mistake("Instance", "a letter, then letters, digits, underscores", {"dbName": "ml-flow"}),
    mistake("Instance", "no word of RDS' own", {"username": "rdsadmin"}),
    mistake("Instance", "manageMasterUserPassword conflicts with password",
            {"password": Secret("hush-hush-hush")}),
    mistake("Instance", "kmsKeyId needs storageEncrypted as well", {"storageEncrypted": NOT_GIVEN}),
    mistake("Instance", "the ARN of a KMS key", {"kmsKeyId": "alias/mine"}),
    mistake("Instance", "finalSnapshotIdentifier is required unless",
            {"finalSnapshotIdentifier": NOT_GIVEN}),
    mistake("Instance", "multiAz conflicts with availabilityZone",
            {"availabilityZone": "eu-central-1a"}),
    mistake("SubnetGroup", "has 1 subnets; it takes 2 to 20", {"subnetIds": [UNKNOWN]}),
    mistake("ParameterGroup", "such as postgres17", {"family": "postgres-17"}),
    mistake("DatabaseInstance", "CPUs must be 1 or even", {"settings.tier": "db-custom-3-8192"}),
    mistake("DatabaseInstance", "multiple of 256 MiB", {"settings.tier": "db-custom-2-8000"}),
    mistake("DatabaseInstance", "0.9 to 6.5 GiB for each CPU",
            {"settings.tier": "db-custom-2-14336"}),
    mistake("DatabaseInstance", "db-custom-<CPUs>-<MiB>", {"settings.tier": "db.t4g.medium"}),
    mistake("DatabaseInstance", "needs edition ENTERPRISE, which is not the default of version 17",
            {"settings.edition": NOT_GIVEN}),
    mistake("DatabaseInstance", "REGIONAL needs backups and point-in-time recovery",
            {"settings.backupConfiguration.pointInTimeRecoveryEnabled": False}),
    mistake("DatabaseInstance", "8 must be 1 to 7 days",
            {"settings.backupConfiguration.transactionLogRetentionDays": 8}),
    mistake("DatabaseInstance", "7 days of log need as many backups, not 3",
            {"settings.backupConfiguration.backupRetentionSettings.retainedBackups": 3}),
    mistake("DatabaseInstance", "is required without a public address",
            {"settings.ipConfiguration.privateNetwork": NOT_GIVEN}),
    mistake("DatabaseInstance", "projects/…/global/networks/…",
            {"settings.ipConfiguration.privateNetwork": "net"}),
    mistake("DatabaseInstance", "'Prod' must be at most 63 small letters",
            {"settings.userLabels": {"stack": "Prod"}}),
    mistake("DatabaseInstance", "must be one of POSTGRES_12", {"databaseVersion": "POSTGRES_99"}),
    mistake("User", "password is required", {"passwordWo": NOT_GIVEN}),
    mistake("User", "passwordWo needs passwordWoVersion", {"passwordWoVersion": NOT_GIVEN}),
    # buckets
    mistake("aws Bucket", "3 to 63 small letters", {"bucket": "Spillway"}),
    mistake("aws Bucket", "3 to 63 small letters", {"bucket": "192.168.0.1"}),
    mistake("BucketVersioning", "must be one of Enabled, Suspended",
            {"versioningConfiguration.status": "On"}),
    mistake("BucketLifecycleConfiguration", "does nothing",
            {"rules[0].noncurrentVersionExpiration": NOT_GIVEN}),
    mistake("BucketLifecycleConfiguration", "must be 1 to",
            {"rules[0].noncurrentVersionExpiration.noncurrentDays": 0}),
    mistake("BucketServerSideEncryptionConfiguration", "must be one of AES256",
            {"rules[0].applyServerSideEncryptionByDefault.sseAlgorithm": "aes"}),
    mistake("BucketPolicy", "is not in the bucket b",
            {"policy": access(Principal="*", Resource="arn:aws:s3:::other/*")}),
    mistake("gcp Bucket", "not Google's own", {"name": "google-artifacts"}),
    mistake("gcp Bucket", "needs at least one condition",
            {"lifecycleRules[0].condition": {}}),
    mistake("gcp Bucket", "AbortIncompleteMultipartUpload does not take withState",
            {"lifecycleRules": [{"action": {"type": "AbortIncompleteMultipartUpload"},
                                 "condition": {"age": 7, "withState": "ANY"}}]}),
    mistake("gcp Bucket", "must be 0, or 604800",
            {"softDeletePolicy.retentionDurationSeconds": 3600}),
    mistake("gcp Bucket", "the key 'Team' must be", {"labels": {"Team": "ml"}}),
    mistake("ManagedFolder", "end with a slash", {"name": "tenants/vision"}),
    # who may do what
    mistake("Role", "must be JSON", {"assumeRolePolicy": "{'Version': 1}"}),
    mistake("Role", "Version must be 2012-10-17",
            {"assumeRolePolicy": json.dumps({**TRUST, "Version": "2024-01-01"})}),
    mistake("Role", "needs a Statement",
            {"assumeRolePolicy": json.dumps({"Version": "2012-10-17", "Statement": []})}),
    mistake("Role", "needs a Principal",
            {"assumeRolePolicy": json.dumps({**TRUST, "Statement": [
                {k: v for k, v in TRUST["Statement"][0].items() if k != "Principal"}]})}),
    mistake("Role", "needs the action sts:AssumeRoleWithWebIdentity",
            {"assumeRolePolicy": trust(Action="sts:AssumeRole")}),
    mistake("Role", "is of another issuer than oidc.example.com",
            {"assumeRolePolicy": trust(Condition={"StringEquals": {"other.com:sub": "x"}})}),
    mistake("Role", "trusts every account of oidc.example.com",
            {"assumeRolePolicy": trust(Condition={})}),
    mistake("Role", "1 to 64 letters", {"name": "a" * 65}),
    mistake("Role", "must be 3600 to 43200 seconds", {"maxSessionDuration": 60}),
    mistake("RolePolicy", "takes no Principal", {"policy": access(Principal="*")}),
    mistake("RolePolicy", "is no action such as s3:GetObject", {"policy": access(Action="Get")}),
    mistake("RolePolicy", "is no ARN", {"policy": access(Resource="b/*")}),
    mistake("RolePolicy", "is no operator", {"policy": access(Condition={"Equals": {"a": "b"}})}),
    mistake("RolePolicy", "AWS takes 10240", {"policy": access(Action=["s3:Get*"] * 2000)}),
    mistake("OpenIdConnectProvider", "must be https://", {"url": "http://oidc.example.com"}),
    mistake("OpenIdConnectProvider", "must not end with a slash",
            {"url": "https://oidc.example.com/"}),
    mistake("WorkloadIdentityPool", "4 to 32 small letters",
            {"workloadIdentityPoolId": "gcp-pool"}),
    mistake("WorkloadIdentityPoolProvider", "must say what google.subject is",
            {"attributeMapping": {"attribute.namespace": "x"}}),
    mistake("WorkloadIdentityPoolProvider", "which attributeMapping does not map",
            {"attributeCondition": "attribute.team == 'x'"}),
    mistake("WorkloadIdentityPoolProvider", "that is not closed",
            {"attributeCondition": "attribute.namespace in ['x'"}),
    mistake("WorkloadIdentityPoolProvider", "keys[0] is a private key",
            {"oidc.jwksJson": '{"keys": [{"kty": "RSA", "n": "x", "d": "y"}]}'}),
    mistake("WorkloadIdentityPoolProvider", "oidc.issuerUri 'oidc.example.com' must be https://",
            {"oidc.issuerUri": "oidc.example.com"}),
    mistake("ManagedFolderIamMember", "it must be the project's number",
            {"member": "principal://iam.googleapis.com/projects/example-ds/locations/global/"
             "workloadIdentityPools/onprem/subject/x"}),
    mistake("ManagedFolderIamMember", "roles/… or projects/…", {"role": "storage.objectUser"}),
    mistake("IAMCustomRole", "no hyphens", {"roleId": "auto-scaler"}),
    mistake("IAMCustomRole", "must be such as compute.instances.get",
            {"permissions": ["compute.*"]}),
    mistake("Secret", "exactly one of auto, userManaged", {"replication": {}}),
    # registries and machines
    mistake("aws Repository", "2 to 256 small letters", {"name": "Spillway/mlflow"}),
    mistake("gcp Repository", "1 to 63 small letters", {"repositoryId": "my_images"}),
    mistake("LaunchTemplate", "userData must be base64", {"userData": "#!/bin/sh"}),
    mistake("Group", "minSize 9 is above maxSize 8", {"minSize": 9}),
    mistake("Group", "desiredCapacity 9 is above maxSize 8", {"desiredCapacity": 9}),
    mistake("InstanceTemplate", "automaticRestart must be false for SPOT",
            {"scheduling.automaticRestart": True}),
    mistake("InstanceTemplate", "no semicolon at the end",
            {"metadata": {"kube-env": 'AUTOSCALER_ENV_VARS: "os=linux;"\n'}}),
    mistake("InstanceGroupManager", "a zone such as", {"zone": "europe-west3"}),
    mistake("Group", "must be value:effect", {"tags": [TAINT_TAG]}),
    mistake("Group", "taint/a twice", {"tags": [TAINT_TAG, TAINT_TAG]}),
    mistake("LaunchTemplate", "belongs into networkInterfaces",
            {"networkInterfaces": [{"deviceIndex": 0}], "vpcSecurityGroupIds": [UNKNOWN]}),
    mistake("aws SecretVersion", "secretStringWo needs secretStringWoVersion as well",
            {"secretStringWoVersion": NOT_GIVEN}),
    mistake("InstanceTemplate", "has two taints a: one is lost",
            {"metadata.kube-env": "AUTOSCALER_ENV_VARS: node_taints=a=b:NoSchedule,a=b:NoExecute"}),
    mistake("InstanceTemplate", "g2-standard-8 has GPUs of its own",
            {"guestAccelerators": [{"type": "nvidia-l4", "count": 1}]}),
    mistake("RepositoryIamMember", "must be user:…", {"member": "nodes@example.com"}),
    mistake("Network", "1 to 63 small letters", {"name": "Net"}),
    mistake("Network", "must be one of DELETE, ABANDON", {"deletionPolicy": "KEEP"}),
    mistake("Vpc", "begins with aws:, which is AWS' own", {"tags": {"aws:x": "y"}}),
]  # fmt: skip


@pytest.fixture(scope="module")
def players(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Player]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("world")
        return {cloud: play(cloud, folder, patch) for cloud in ("aws", "gcp")}


def changed(good: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    found = copy.deepcopy(good)
    for path, value in changes.items():
        *above, last = path.replace("[", ".").replace("]", "").split(".")
        at: Any = found
        for step in above:
            at = at[int(step)] if step.isdigit() else at[step]
        if value is NOT_GIVEN:
            del at[last]
        else:
            at[last] = value
    return found


@pytest.mark.parametrize("token", GOOD)
def test_what_is_right_passes(players: dict[str, Player], token: str):
    assert players[token.split(":", maxsplit=1)[0]].said(token, GOOD[token]) == []


@pytest.mark.parametrize(("token", "changes", "said"), MISTAKES)
def test_a_mistake_is_told_in_one_line(
    players: dict[str, Player], token: str, changes: dict[str, Any], said: str
):
    failures = players[token.split(":", maxsplit=1)[0]].said(token, changed(GOOD[token], changes))
    assert failures
    assert said in failures[0], failures
    assert not any("\n" in one or "hush" in one for one in failures)


def test_the_table_is_as_long_as_was_promised():
    assert len(MISTAKES) >= 40
    assert {one.values[0].split(":")[0] for one in MISTAKES} == {"aws", "gcp"}


def test_a_type_without_rules_is_not_approved_by_silence(players: dict[str, Player]):
    assert players["aws"].said("aws:sqs/queue:Queue", {}) == [
        "the stand-in has no rules for aws:sqs/queue:Queue yet: add it in rig/plugins/aws/"
    ]


@pytest.mark.parametrize(
    ("cloud", "config", "said"),
    [
        ("aws", {}, "region is required"),
        ("aws", {"region": "europe-west3"}, "'europe-west3' is no region of AWS"),
        ("aws", {"region": "eu-central-1", "regoin": "x"}, "did you mean 'region'?"),
        ("aws", {"region": "eu-central-1", "allowedAccountIds": '["12"]'}, "twelve digits"),
        ("aws", {"region": "eu-central-1", "defaultTags": '{"tags": {"aws:a": "b"}}'}, "AWS' own"),
        ("gcp", {"region": "europe-west3"}, "project is required"),
        ("gcp", {"project": "example-ds"}, "region is required"),
        ("gcp", {"project": "X", "region": "europe-west3"}, "'X' is no project"),
        ("gcp", {"project": "example-ds", "region": "eu-central-1"}, "is no region of Google"),
        (
            "gcp",
            {"project": "example-ds", "region": "europe-west3", "defaultLabels": '{"A": "b"}'},
            "the key 'A'",
        ),
    ],
)
def test_a_provider_that_could_reach_nothing_is_refused(
    players: dict[str, Player], cloud: str, config: dict[str, Any], said: str
):
    request = wire.CheckRequest(news=to_struct(config))
    [failure] = players[cloud].cloud.CheckConfig(request, Context()).failures
    assert said in f"{failure.property} {failure.reason}"


def test_a_stand_in_without_a_world_says_that_it_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    player = play("aws", tmp_path, monkeypatch)
    monkeypatch.delenv("SPILLWAY_CLOUD")
    with pytest.raises(ValueError, match="for rehearsals alone: it reaches no cloud"):
        player.cloud.Configure(wire.ConfigureRequest(), Context())
