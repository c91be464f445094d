"""The hub's session gives its connection back when it has nothing to write."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub_code import transactions
from sqlalchemy import Column, Engine, Integer, create_engine, event, select
from sqlalchemy.orm import Session, declarative_base, sessionmaker

Base = declarative_base()


class User(Base):
    __tablename__ = "users"
    id = Column(Integer, primary_key=True)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path}/hub.sqlite")
    Base.metadata.create_all(engine)
    monkeypatch.setattr(transactions, "OPEN", 0.01)
    transactions.end_soon()
    yield engine
    event.remove(Session, "after_begin", transactions._begun)
    engine.dispose()


def played(engine: Engine, play: Callable[[Session], None]) -> Session:
    """A session as the hub makes its own, some time after something was done with it."""

    async def hub() -> Session:
        session = sessionmaker(bind=engine, expire_on_commit=False)()
        play(session)
        await asyncio.sleep(0.1)
        return session

    return asyncio.run(hub())


def test_what_was_read_keeps_no_connection(engine: Engine) -> None:
    def read(session: Session) -> None:
        session.scalars(select(User)).all()
        assert session.in_transaction()
        assert engine.pool.checkedout() == 1

    session = played(engine, read)

    assert not session.in_transaction()
    assert engine.pool.checkedout() == 0


def test_what_is_to_be_written_is_left_to_the_hub(engine: Engine) -> None:
    def begin(session: Session) -> None:
        session.scalars(select(User)).all()
        session.add(User(id=1))

    session = played(engine, begin)
    assert session.in_transaction()
    session.rollback()

    def finish(session: Session) -> None:
        begin(session)
        session.flush()

    played(engine, finish)
    with engine.connect() as other:
        assert other.scalars(select(User.id)).all() == [1]


def test_a_connection_that_died_is_given_up(engine: Engine) -> None:
    def dies(session: Session) -> None:
        session.scalars(select(User)).all()
        session.connection().connection.dbapi_connection.close()

    session = played(engine, dies)

    assert not session.in_transaction()
    assert session.scalars(select(User)).all() == []
