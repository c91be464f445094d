"""The stack: what it holds is in infra/stack.py."""

import pulumi

from infra.stack import assemble

TOLD = 32
"""Exit status at which the engine adds no line of its own about how the program ended."""

try:
    assemble()
except pulumi.RunError as error:
    pulumi.log.error(str(error))
    raise SystemExit(TOLD) from None
