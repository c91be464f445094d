"""Errors of the rig: one line for a person, no traceback."""


class RigError(Exception):
    """Something a person can act on; the text says what and how."""
