"""The database may be started anew while the hub runs, and nobody is to notice.

JupyterHub has one session for everything. What it reads begins a transaction that stays open until
something is written, and with it a connection that is never looked at again: the next request after
a restart of the database fails on it. Connections that come from the pool are tried first.
"""

import asyncio
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

OPEN = 1.0
"""Seconds after which a transaction with nothing to write ends; a restart takes longer."""


def end_soon() -> None:
    """From now on, no session of this process keeps a connection that it does not use."""
    event.listen(Session, "after_begin", _begun)


def _begun(session: Session, *_: Any) -> None:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # a command beside the hub, which ends soon itself
        return
    loop.call_later(OPEN, _end, session)


def _end(session: Session) -> None:
    if not session.in_transaction():
        return
    if session.new or session.dirty or session.deleted:
        asyncio.get_running_loop().call_later(OPEN, _end, session)
        return
    try:
        session.commit()
    except SQLAlchemyError:  # the connection is dead already, and is given up here
        session.rollback()
