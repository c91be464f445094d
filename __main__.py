"""The stack: what it holds is in infra/stack.py."""

from infra.stack import assemble

assemble()
