"""What the resources of one network have in common."""

from dataclasses import dataclass

import pulumi


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where resources go, whose children they are, and whether they may be lost."""

    name: str
    project: str
    region: str
    parent: pulumi.Resource
    protect: bool

    @property
    def child(self) -> pulumi.ResourceOptions:
        """For what can be made again as it was."""
        return pulumi.ResourceOptions(parent=self.parent)

    @property
    def kept(self) -> pulumi.ResourceOptions:
        """For what cannot: data, and addresses that are written down elsewhere."""
        return pulumi.ResourceOptions(parent=self.parent, protect=self.protect)

    @property
    def one_at_a_time(self) -> pulumi.ResourceOptions:
        """For what a second one would collide with, whatever its name."""
        return pulumi.ResourceOptions(parent=self.parent, delete_before_replace=True)
