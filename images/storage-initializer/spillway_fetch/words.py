"""What is said: lines of progress, and one line when it cannot be done. Never a key."""

import errno
import os
import re
from collections.abc import Mapping

SECRET = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|PASSPHRASE|CREDENTIAL", re.IGNORECASE)
SHORTEST = 6
"""Of what is taken for a secret: less would blank ordinary words."""
LONGEST = 500
THOUSAND, TEN = 1000, 10
REFUSED = (401, 403)
SPEAKING = ("MlflowException", "RestException")
"""Exceptions whose text is a sentence."""


class Hopeless(Exception):
    """It will not work the next time either; its text is all there is to say."""


def size(count: int) -> str:
    """In units of a thousand, with a digit behind the point where it matters."""
    amount, unit = float(count), "B"
    for larger in ("kB", "MB", "GB"):
        if amount < THOUSAND:
            break
        amount, unit = amount / THOUSAND, larger
    return f"{amount:.1f} {unit}" if 0 < amount < TEN and unit != "B" else f"{amount:,.0f} {unit}"


def files(count: int) -> str:
    """A number of them."""
    return "1 file" if count == 1 else f"{count} files"


def progress(here: Mapping[str, int], wanted: Mapping[str, int]) -> str:
    """How far it is; a file counts once it is whole."""
    whole = sum(here.get(name) == expected for name, expected in wanted.items())
    # Libraries download into names of their own and rename; those bytes count as well.
    there = min(sum(here.values()), sum(wanted.values()))
    return f"{whole} of {files(len(wanted))}, {size(there)} of {size(sum(wanted.values()))}"


def lacking(here: Mapping[str, int], wanted: Mapping[str, int]) -> list[str]:
    """Files that have not arrived, or not whole."""
    return [name for name, size in wanted.items() if here.get(name) != size]


def explain(error: BaseException, environ: Mapping[str, str]) -> str:
    """One line without anything secret."""
    return scrubbed(_reason(error), environ)


def _reason(error: BaseException) -> str:
    if os.strerror(errno.ENOSPC) in str(error):  # MLflow repeats it for each file
        return "the volume is full: the model needs more room than it has"
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EROFS):
        return f"{error.filename} cannot be written"
    if isinstance(error, Hopeless):
        return str(error)
    status = _status(error)
    if status in REFUSED:
        return f"access is refused (HTTP {status}): {error}"
    kind = type(error).__name__
    return str(error) if kind in SPEAKING else f"{kind}: {error}"


def _status(error: BaseException) -> int | None:
    """Of an answer over HTTP, however the library spells it."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):  # botocore
        return response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    for status in (getattr(response, "status_code", None), getattr(error, "code", None)):
        if isinstance(status, int):
            return status
    return None


def scrubbed(text: str, environ: Mapping[str, str]) -> str:
    """In one line and without values of secret variables, tokens, or what signs an address."""
    for name, value in environ.items():
        if SECRET.search(name) and len(value) >= SHORTEST:
            text = text.replace(value, "…")
    text = re.sub(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]+", r"\1 …", text)
    text = re.sub(r"\beyJ[\w.-]{20,}", "…", text)  # a token of Kubernetes or a cloud
    text = re.sub(r"://[^/\s@]*@", "://…@", text)
    text = re.sub(r"(?i)\?[^\s'\"]*(signature|token|credential)[^\s'\"]*", "?…", text)
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
