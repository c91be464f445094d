"""A repository of Artifact Registry for the images of this platform.

Whether they are scanned is a matter of the project, not of a repository: with the
``containerscanning.googleapis.com`` API on, Google scans each pushed image and bills it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_gcp import artifactregistry

from components.gcp.names import fitting, known


@dataclass(frozen=True, kw_only=True)
class RegistryArgs:
    """Where images are pushed to."""

    project: str
    region: str
    images: Sequence[str]
    """Their names: one repository takes them all, and needs none of them beforehand."""
    protect: bool = True
    """Keeps the images that clusters run from being deleted."""


class Registry(pulumi.ComponentResource):
    """A place for images next to where nodes pull them; fulfils ``shapes.Registry``."""

    url: pulumi.Output[str]

    def __init__(
        self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:gcp:Registry", fitting(name), None, opts)
        repository = artifactregistry.Repository(
            f"{name}-repository",
            project=args.project,
            location=args.region,
            # Part of every image's name, which pods and people spell out.
            repository_id=known(name),
            format="DOCKER",
            # What ran under a tag yesterday runs under it tomorrow.
            docker_config={"immutable_tags": True},
            opts=pulumi.ResourceOptions(
                parent=self, protect=args.protect, delete_before_replace=True
            ),
        )
        self._repository = repository
        # A project of a company's domain, "example.com:images", is a folder in a path.
        project = args.project.replace(":", "/")
        self.url = pulumi.Output.concat(
            f"{args.region}-docker.pkg.dev/{project}/", repository.repository_id
        )
        self.register_outputs({"url": self.url})

    @property
    def repository(self) -> artifactregistry.Repository:
        """For whoever is to pull from it."""
        return self._repository
