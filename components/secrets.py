"""Secrets of the platform: made by Pulumi, kept in encrypted state, handed to pods by name."""

from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random

from components.labels import labels, metadata


def secret(  # noqa: PLR0913 - whose it is, what is in it, and where
    app: str,
    instance: str,
    role: str,
    content: Mapping[str, pulumi.Input[str]],
    *,
    namespace: pulumi.Input[str],
    parent: pulumi.Resource,
) -> k8s.core.v1.Secret:
    """A Secret that pods read as environment.

    Autonamed: new content makes a new Secret, and the new name rolls the pods that use it.
    """
    return k8s.core.v1.Secret(
        f"{instance}-{role}",
        metadata=metadata(namespace, labels(app, instance, role)),
        string_data=pulumi.Output.secret(content),
        opts=pulumi.ResourceOptions(parent=parent),
    )


def password(
    name: str, length: int, *, protect: bool, parent: pulumi.Resource
) -> pulumi.Output[str]:
    """Letters and digits by chance: they go into URLs and configuration unescaped.

    Never RandomBytes, whose provider keeps the value as the resource's id, in plain state.
    """
    made = random.RandomPassword(
        name,
        length=length,
        special=False,
        opts=pulumi.ResourceOptions(parent=parent, protect=protect),
    )
    return pulumi.Output.secret(made.result)
