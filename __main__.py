"""The stack: what it holds is in infra/stack.py."""

import gc

gc.disable()
"""Most of the program's time is the import of SDKs, whose classes are never garbage: looking for
garbage among them takes a fifth of it, and nothing else lives long enough to need it."""

import pulumi  # noqa: E402

from infra.settle import settle  # noqa: E402
from infra.stack import assemble  # noqa: E402

TOLD = 32
"""Exit status at which the engine adds no line of its own about how the program ended."""

try:
    assemble()
    pulumi.run(settle)
except pulumi.RunError as error:
    pulumi.log.error(str(error))
    raise SystemExit(TOLD) from None
