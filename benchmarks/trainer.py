"""Somebody who trains a model in a notebook: ``python -m benchmarks.trainer HUB``.

Standard input has the name and the password, as JSON. The person and the model are those of the
tests: ``tests/cluster`` has to be on PYTHONPATH.
"""

import json
import sys

from person import Person  # pyright: ignore[reportMissingImports] - on PYTHONPATH when it runs
from served import TRAIN  # pyright: ignore[reportMissingImports]


def main() -> None:
    """Log in, start a server, train, and stop it."""
    hub, told = sys.argv[1], json.load(sys.stdin)
    person = Person(hub, told["name"])
    answer = person.log_in(told["password"])
    if answer.status_code != 200:  # noqa: PLR2004 - HTTP's own
        raise RuntimeError(f"{person.name} cannot log in: {answer.status_code}")
    person.start(profile="small")
    person.ready()
    try:
        person.run(TRAIN, seconds=240)
    finally:
        person.stop()
        person.gone()


if __name__ == "__main__":
    main()
