"""Secrets of a stack file: encrypted, or not there; a rehearsal's stand-in is the one exception."""

from collections.abc import Iterator

from pulumi.runtime import config as engine
from pydantic import SecretStr

from infra.config_errors import PROJECT, Problem

REHEARSED = "stand-in of a rehearsal"
"""The one secret that may stand in a stack file as plain text; nobody takes it."""


def encrypted(name: str, secret: SecretStr | None) -> Iterator[Problem]:
    """A secret that must be there, and not as plain text."""
    stand_in = secret is not None and secret.get_secret_value() == REHEARSED
    if not stand_in and not (secret and engine.is_config_secret(f"{PROJECT}:{name}")):
        yield Problem(
            (name,),
            secret and "[secret]",
            f"stored with: pulumi config set --secret {PROJECT}:{name}",
        )
