"""A stand-in for the `random` plugin, used only where the real one cannot be had.

It has RandomPassword and RandomBytes. Unlike the real plugin it gives no `bcryptHash`, imports
nothing, and the id of RandomBytes is not the secret itself: the real one's is, in plain state.
"""
