"""A stand-in for the `random` plugin, used only where the real one cannot be had.

It has RandomPassword and RandomId. Unlike the real plugin it gives no `bcryptHash` and imports
nothing.
"""
