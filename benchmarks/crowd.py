"""People who start notebook servers, in a process of its own: ``python -m benchmarks.crowd HUB``.

Standard input has the password and what they do, as JSON; prints seconds as JSON. They are browsers
as in the tests: ``tests/cluster`` has to be on PYTHONPATH.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from person import Person  # pyright: ignore[reportMissingImports] - on PYTHONPATH when it runs

PATIENCE = 240
"""Seconds after which a server will not come."""


def started(person: Any) -> float:
    """Seconds from the request for a server to its page, as the browser gets it."""
    began = time.monotonic()
    answer = person.start(profile="small")
    if answer.status_code not in {201, 202}:
        raise RuntimeError(f"{person.name}: {answer.status_code} {answer.text}")
    person.ready(seconds=PATIENCE)
    person.enter()
    return time.monotonic() - began


def stopped(person: Any) -> None:
    """End the server, and wait for its end."""
    person.stop()
    person.gone(seconds=PATIENCE)


def main() -> None:
    """Log in once; then one person again and again, or all at once."""
    hub, told = sys.argv[1], json.load(sys.stdin)
    people = [Person(hub, name) for name in told["people"]]
    for person in people:
        answer = person.log_in(told["password"])
        if answer.status_code != 200:  # noqa: PLR2004 - HTTP's own
            raise RuntimeError(f"{person.name} cannot log in: {answer.status_code}")
    times = list[float]()
    for _ in range(told["times"]):
        with ThreadPoolExecutor(len(people)) as together:
            times += together.map(started, people)
            # Whoever measures looks at the hub while all of them run.
            sys.stderr.write("running\n")
            list(together.map(stopped, people))
    json.dump(times, sys.stdout)


if __name__ == "__main__":
    main()
