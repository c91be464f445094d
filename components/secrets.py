"""Secrets of the platform: made by Pulumi, kept in encrypted state, handed to pods by name."""

from collections.abc import Mapping
from hashlib import sha256

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


def version(value: pulumi.Output[str]) -> pulumi.Output[int]:
    """The number beside a write-only argument: another one when the secret is another one.

    Providers hand a write-only value on and keep none of it, so they compare nothing but this
    number: with a constant a new secret would never arrive. 28 bits of a hash tell nobody anything
    about a password of 32 random characters, and stay secret with it.
    """
    return value.apply(lambda text: int(sha256(text.encode()).hexdigest()[:7], 16))
