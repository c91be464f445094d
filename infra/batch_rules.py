"""Rules about scoring tables that need more than one setting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from infra import model_rules
from infra.batches import FOLDERS, Batch
from infra.config_errors import Path, Problem

if TYPE_CHECKING:
    from infra.settings import Settings


def problems(settings: Settings) -> Iterator[Problem]:
    """Every broken rule, in the order of the file."""
    for name, batch in settings.batch.items():
        yield from model_rules.tenant(("batch", name), batch.tenant, settings)
        yield from _folders(("batch", name), batch)


def _folders(path: Path, batch: Batch) -> Iterator[Problem]:
    """What is scored must not be scored again."""
    source, target = (f"{folder.rstrip('/')}/" for folder in (batch.input, batch.output))
    if source.startswith(target) or target.startswith(source):
        yield Problem(
            (*path, "output"),
            batch.output,
            f"{FOLDERS} that is neither the input, nor inside it, nor around it: {batch.input}",
        )
