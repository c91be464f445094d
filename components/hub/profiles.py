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
    pool: str | None = None
    """Pool of nodes it runs on, with one GPU of it."""
