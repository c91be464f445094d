"""The embedded default: toolchain, one-node cluster and stand-in plugins."""
