"""Passwords in write-only arguments: the provider hands them on and keeps none of them."""

from hashlib import sha256

import pulumi


def version(secret: pulumi.Output[str]) -> pulumi.Output[int]:
    """The number beside a write-only argument: another one when the secret is another one.

    The provider compares nothing but this number, so with a constant a new password would never
    arrive. 28 bits of a hash tell nobody anything about a password of 32 random characters, and
    stay secret with it.
    """
    return secret.apply(lambda value: int(sha256(value.encode()).hexdigest()[:7], 16))
