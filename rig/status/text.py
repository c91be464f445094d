"""Text for a person's terminal."""

from datetime import timedelta


def span(time: timedelta) -> str:
    """As a person says it: ``4 min``, ``3 h 20 min``, ``2 d 5 h``."""
    minutes = max(0, int(time.total_seconds())) // 60
    hours, rest = divmod(minutes, 60)
    days, hours_left = divmod(hours, 24)
    if days:
        return f"{days} d {hours_left} h"
    return f"{hours} h {rest} min" if hours else f"{rest} min"


def plain(text: str) -> str:
    """Without what a terminal obeys: names and messages are other people's."""
    return "".join(c if c.isprintable() else "�" for c in text)
