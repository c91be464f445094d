"""Artifact Registry. https://cloud.google.com/artifact-registry/docs/repositories/create-repos"""

from collections.abc import Iterator
from typing import Final

from rig.plugins.base import Failure
from rig.plugins.cloud.kinds import Given, Kind, at
from rig.plugins.cloud.rules import among, text
from rig.plugins.gcp.iam import grantee_rules, known_pool
from rig.plugins.gcp.names import REGION, RFC1035, SAID

_FORMATS: Final = ("DOCKER", "MAVEN", "NPM", "PYTHON", "APT", "YUM", "GO", "GENERIC", "KFP")


def _docker_only(given: Given) -> Iterator[Failure]:
    if given.get("format") not in (None, "DOCKER") and "dockerConfig" in given:
        yield Failure("dockerConfig", f"is for the format DOCKER, not {given.get('format')}")


KINDS: Final = [
    Kind(
        type="gcp:artifactregistry/repository:Repository",
        called="repository",
        identify=at("projects/{project}/locations/{location}/repositories/{repositoryId}"),
        replaces=frozenset({"repositoryId", "location", "project", "format", "mode", "kmsKeyName"}),
        rules=[
            text("repositoryId", RFC1035, SAID),
            text("location", rf"{REGION}|us|europe|asia", "a region, or us, europe or asia"),
            among("format", *_FORMATS),
            among("mode", "STANDARD_REPOSITORY", "VIRTUAL_REPOSITORY", "REMOTE_REPOSITORY"),
            _docker_only,
        ],
        outputs=lambda made: {
            "name": made.get("repositoryId"),
            "registryUri": f"{made.get('location')}-docker.pkg.dev/{made.place['project']}"
            f"/{made.get('repositoryId')}",
            "createTime": made.created,
            "updateTime": made.created,
            "mode": "STANDARD_REPOSITORY",
        },
    ),
    Kind(
        type="gcp:artifactregistry/repositoryIamMember:RepositoryIamMember",
        called="grant on a repository",
        identify=at(
            "projects/{project}/locations/{location}/repositories/{repository}/{role}/{member}"
        ),
        handles=(),
        replaces=frozenset({"repository", "location", "role", "member", "condition", "project"}),
        rules=grantee_rules(),
        placed=known_pool,
        overwrites=True,
        outputs=lambda made: {"etag": made.hex("etag", 12)},
    ),
]
