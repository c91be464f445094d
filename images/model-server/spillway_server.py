"""MLServer for pods behind a gateway: ``python -m spillway_server FOLDER``.

``mlserver start`` ends with 0 when a model does not load, so a pod would not say that it failed,
nor why. And it ends an idle connection after five seconds, which gateways keep for a minute: a
request that is sent into that moment is lost.
"""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path
from signal import Signals

from mlserver.cli.serve import load_settings
from mlserver.logging import configure_logger
from mlserver.server import MLServer
from mlserver.utils import install_uvloop_event_loop

TERMINATION_LOG = Path("/dev/termination-log")
IDLE_SECONDS = 3600
"""Longer than a gateway keeps an idle connection (60 s by the operator's rule): it ends it."""


class Server(MLServer):
    """The same, and it knows why it ended."""

    failure: BaseException | None = None
    """Why a model did not load."""

    async def stop(self, sig: Signals | None = None) -> None:
        """As MLServer's, which calls it without a signal when a model did not load."""
        if sig is None:
            self.failure = sys.exception()
        await super().stop(sig)


async def serve(folder: str) -> BaseException | None:
    """Until a signal comes, or a model does not load: then why."""
    settings, models = await load_settings(folder)
    # MLServer's own way to uvicorn's options; no variable leads there.
    settings._custom_rest_server_settings = {"timeout_keep_alive": IDLE_SECONDS}
    server = Server(settings)
    await server.start(models)
    return server.failure


def told(failure: BaseException) -> str:
    """One line: what went wrong first, for the errors around it say less."""
    while failure.__cause__:
        failure = failure.__cause__
    return f"The model does not load: {type(failure).__name__}: {failure}".splitlines()[0]


def main(arguments: list[str]) -> None:
    """Serve, or end with one line."""
    configure_logger()
    install_uvloop_event_loop()
    failure = asyncio.run(serve(arguments[1]))
    if failure is None:
        return
    line = told(failure)
    with suppress(OSError):  # where there is no pod
        TERMINATION_LOG.write_text(line)
    sys.exit(line)


if __name__ == "__main__":
    main(sys.argv)
