"""Repositories for the images of this project, in ECR."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True, kw_only=True)
class RegistryArgs:
    """What is kept there."""

    images: Sequence[str]
    """Names without registry and tag. ECR takes no image without a repository of its own."""
    protect: bool = True
    """Keeps the repositories from being deleted or replaced: old tags are the way back."""

    def __post_init__(self) -> None:
        if not self.images:
            raise ValueError("a registry without images has no address")


class Registry(pulumi.ComponentResource):
    """Where images are pushed to in AWS; fulfils ``shapes.Registry``."""

    url: pulumi.Output[str]

    def __init__(
        self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("spillway:aws:Registry", name, None, opts)
        # Builds and pods must know it. An account's repositories share one name space.
        folder = f"{pulumi.get_project()}/{pulumi.get_stack()}/{name}".lower()
        repositories = {
            image: aws.ecr.Repository(
                f"{name}-{image}",
                name=f"{folder}/{image}",
                image_tag_mutability="IMMUTABLE",
                image_scanning_configuration={"scan_on_push": True},
                force_delete=False,
                opts=pulumi.ResourceOptions(
                    parent=self, protect=args.protect, delete_before_replace=True
                ),
            )
            for image in dict.fromkeys(args.images)
        }
        image, first = next(iter(repositories.items()))
        self._repositories = [repository.arn for repository in repositories.values()]

        self.url = first.repository_url.apply(lambda url: url.removesuffix(f"/{image}"))
        self.register_outputs({"url": self.url})

    @property
    def repositories(self) -> Sequence[pulumi.Output[str]]:
        """Their ARNs, for whoever is to pull from them."""
        return self._repositories
