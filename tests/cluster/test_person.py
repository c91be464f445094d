"""What the other tests believe a cell by: the reply and the output come in either order."""

import itertools
import json
from typing import Any

import pytest
import websocket
from person import Kernel, NotDone, Person

IDLE = ("status", {"execution_state": "idle"})
DONE = ("execute_reply", {"status": "ok"})
FAILED = ("execute_reply", {"status": "error", "ename": "ModuleNotFoundError", "evalue": "no"})
PRINTED = ("stream", {"text": "1\n"})


class Channel:
    """Answers the one cell that is sent with these messages, in this order."""

    def __init__(self, messages: tuple[tuple[str, dict[str, Any]], ...]) -> None:
        self._messages = iter(messages)
        self._parent: dict[str, Any] = {}

    def send(self, text: str) -> None:
        self._parent = json.loads(text)["header"]

    def recv(self) -> str:
        kind, content = next(self._messages)
        return json.dumps({"parent_header": self._parent, "msg_type": kind, "content": content})

    def close(self) -> None:
        pass


def orders(*messages: tuple[str, dict[str, Any]]) -> list[Any]:
    """The output is before "idle"; the reply is anywhere."""
    return [
        pytest.param(order, id=" ".join(kind for kind, _ in order))
        for order in itertools.permutations(messages)
        if PRINTED not in order or order.index(PRINTED) < order.index(IDLE)
    ]


@pytest.fixture
def kernel() -> Kernel:
    return Kernel(Person("http://127.0.0.1:1", "ada"), "/user/ada/", "1")


@pytest.mark.parametrize("messages", orders(PRINTED, DONE, IDLE))
def test_what_a_cell_prints_is_whole(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch, messages: Any
) -> None:
    monkeypatch.setattr(websocket, "create_connection", lambda *_, **__: Channel(messages))
    assert kernel.run("print(1)") == "1\n"


@pytest.mark.parametrize("messages", orders(FAILED, IDLE))
def test_a_cell_that_fails_is_told(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch, messages: Any
) -> None:
    monkeypatch.setattr(websocket, "create_connection", lambda *_, **__: Channel(messages))
    with pytest.raises(NotDone, match="ModuleNotFoundError"):
        kernel.run("import nothing")
