"""What a person may choose when a notebook server starts."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A kind of notebook server."""

    title: str
    description: str
    cpu: float
    """Most cores."""
    memory: str
    """Most memory, a Kubernetes quantity."""
    spark: bool = False
    """Whether it has Spark, and may start executors."""
    accelerator: str | None = None
    """What its one GPU is, by the name of ``infra/catalog.py``; it waits for it in its team's
    queue."""
