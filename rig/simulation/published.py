"""Two days made up from what was published about real clusters; a seed makes them again.

Nothing is copied from the published data sets: their statistics are the parameters of random
draws, scaled to sixteen GPUs of one's own. docs/simulation.md says which figures are whose, and
which of them are from memory. ``python -m rig.simulation.published`` writes both files.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from statistics import NormalDist
from typing import Final, TypeVar

from rig.simulation.trace import HOUR, Kind, Trace, Work, text_of

T = TypeVar("T")
FOLDER: Final = Path(__file__).parent / "traces"
BEGINS: Final = 7
"""Hour of the day at which traces begin: their first hours, all that short tests play, are busy."""
DAY: Final = 24
_NORMAL: Final = NormalDist()


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How long work takes: log-normal, with ends cut off."""

    median: float
    """Seconds."""
    sigma: float
    """Of the logarithm: 2 means that one in six takes more than seven times the median."""
    least: float
    """Shorter work is left out: a hundred times faster, it would be over before it began."""
    most: float

    def draw(self, random: Random) -> float:
        """One duration, in whole seconds."""
        low, high = (
            _NORMAL.cdf(math.log(end / self.median) / self.sigma) for end in (self.least, self.most)
        )
        z = _NORMAL.inv_cdf(low + (high - low) * random.random())
        return float(round(self.median * math.exp(self.sigma * z)))


@dataclass(frozen=True, kw_only=True)
class Stream:
    """Work of one kind through a day."""

    kind: Kind
    count: int
    hours: Sequence[float]
    """Weight of each hour of the clock, from midnight on."""
    sizes: Mapping[tuple[int, int], float]
    """Weight of each (pods, GPUs of one)."""
    spread: Spread
    again: float = 0.0
    """Chance that one more like the last follows at once, as when somebody tries parameters."""
    longer: float = 0.0
    """How much longer large work takes: the power of its GPUs that durations grow by."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A day."""

    seed: int
    tenants: Mapping[str, float]
    """Weight of each."""
    streams: Sequence[Stream]


PHILLY: Final = Recipe(
    seed=20190710,
    tenants={"vision": 0.42, "language": 0.28, "speech": 0.18, "ranking": 0.12},
    streams=(
        Stream(
            kind=Kind.JOB,
            count=280,
            hours=[0.9] * 7 + [1.2, 1.6] + [2.2] * 4 + [2.0] + [2.2] * 4 + [1.8, 1.5] + [1.2] * 4,
            sizes={(1, 1): 0.79, (1, 2): 0.06, (1, 4): 0.09, (2, 4): 0.01, (1, 8): 0.05},
            spread=Spread(median=400, sigma=1.6, least=300, most=4 * HOUR),
            again=0.45,
            longer=0.1,
        ),
        Stream(
            kind=Kind.NOTEBOOK,
            count=60,
            hours=[0] * 7 + [0.5, 2.0] + [3] * 3 + [1.5] + [2.5] * 3 + [1.5, 0.7] + [0.2] * 6,
            sizes={(1, 1): 0.95, (1, 2): 0.05},
            spread=Spread(median=3000, sigma=0.6, least=900, most=4 * HOUR),
        ),
    ),
)
"""Long tails and small jobs: after Microsoft's Philly."""

HELIOS: Final = Recipe(
    seed=20211114,
    tenants={"vision": 0.5, "language": 0.25, "speech": 0.15, "ranking": 0.1},
    streams=(
        Stream(
            kind=Kind.JOB,
            count=280,
            hours=[1.2, 0.7]
            + [0.4] * 5
            + [0.6, 1.2, 2.4, 2.8, 2.4, 1.1, 1.8, 2.8, 3.0, 3.0, 2.4, 1.2, 1.8, 2.4, 2.2, 1.8, 1.4],
            sizes={(1, 1): 0.56, (1, 2): 0.12, (1, 4): 0.14, (2, 4): 0.02, (1, 8): 0.16},
            spread=Spread(median=206, sigma=1.8, least=300, most=3 * HOUR),
            again=0.3,
        ),
        Stream(
            kind=Kind.NOTEBOOK,
            count=80,
            hours=[0] * 8
            + [1.0, 3.0, 3.0, 2.0, 0.8, 2.0, 2.5, 4.0, 5.0, 5.0, 3.0, 1.0]
            + [0.3] * 4,
            sizes={(1, 1): 1.0},
            spread=Spread(median=2700, sigma=0.5, least=900, most=3 * HOUR),
        ),
    ),
)
"""Large jobs, quiet nights, a dip at noon, and notebooks before a deadline: after Helios."""

RECIPES: Final[Mapping[str, Recipe]] = {"philly": PHILLY, "helios": HELIOS}


def make(recipe: Recipe, seed: int | None = None) -> Trace:
    """The day of a recipe; another seed makes another day of the same kind."""
    random = Random(recipe.seed if seed is None else seed)  # noqa: S311 - no secret
    drawn = [
        work
        for stream in recipe.streams
        for work in islice(_works(recipe, stream, random), stream.count)
    ]
    ordered = sorted(drawn, key=lambda work: (work.arrival, work.tenant))
    return Trace(
        tuple(
            Work(
                name=f"{w.kind}-{number:03}",
                arrival=w.arrival,
                tenant=w.tenant,
                kind=w.kind,
                gpus=w.gpus,
                duration=w.duration,
                pods=w.pods,
            )
            for number, w in enumerate(ordered, 1)
        )
    )


def _works(recipe: Recipe, stream: Stream, random: Random) -> Iterator[Work]:
    while True:
        at = _arrival(stream, random)
        tenant = _pick(recipe.tenants, random)
        pods, gpus = _pick(stream.sizes, random)
        while True:
            duration = stream.spread.draw(random) * (pods * gpus) ** stream.longer
            yield Work(
                name="unnamed",
                arrival=at,
                tenant=tenant,
                kind=stream.kind,
                gpus=gpus,
                duration=float(round(min(duration, stream.spread.most))),
                pods=pods,
            )
            at = min(at + 5 + round(55 * random.random()), DAY * HOUR - 1)
            if random.random() >= stream.again:
                break


def _arrival(stream: Stream, random: Random) -> float:
    """Seconds since the trace began, by the weights of the hours."""
    hour = _pick(dict(enumerate(stream.hours)), random)
    return float(math.floor(((hour - BEGINS) % DAY + random.random()) * HOUR))


def _pick(weights: Mapping[T, float], random: Random) -> T:
    """One of them: written out, for what the library's own draws may change with its version."""
    at = random.random() * sum(weights.values())
    for item, weight in weights.items():
        at -= weight
        if at < 0:
            return item
    return next(reversed(list(weights)))


def write(folder: Path = FOLDER, say: Callable[[str], None] = print) -> None:
    """Write the files that are shipped."""
    for name, recipe in RECIPES.items():
        trace = make(recipe)
        (folder / f"{name}.csv").write_text(text_of(trace), encoding="utf-8")
        say(f"{name}: {trace.summary()}")


if __name__ == "__main__":
    write()
