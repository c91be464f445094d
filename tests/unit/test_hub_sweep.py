"""The sweeper stops servers of teams that their owners are no longer in, and no others."""

import time
from typing import Any

import pytest
import requests
from hub_stand_ins import sweep
from test_hub_code import DAYS, known, user


class Hub:
    """Its API, for people and what it has been asked to stop."""

    def __init__(self, *people: dict[str, Any], refuses: str = "") -> None:
        self.people = {person["name"]: person for person in people}
        self.refuses = refuses
        self.stopped: list[str] = []

    def request(self, method: str, url: str, timeout: float) -> requests.Response:
        assert timeout
        path = url.removeprefix("http://127.0.0.1:8081/hub/api/users")
        answer = requests.Response()
        answer.status_code = 200
        if (method, path) == ("GET", "?state=active"):
            # As the hub does, without what the provider said of somebody.
            body: Any = [{"name": name} for name in self.people]
        elif method == "GET":
            body = self.people[requests.utils.unquote(path.removeprefix("/"))]
        else:
            assert method == "DELETE"
            self.stopped.append(path)
            answer.status_code = 500 if self.refuses and self.refuses in path else 204
            body = None
        answer._content = b"" if body is None else requests.compat.json.dumps(body).encode()
        return answer


def swept(hub: Hub) -> list[str]:
    sweep.sweep(hub, known())
    return hub.stopped


def somebody(name: str, *, groups: Any = (), **servers: str | None) -> dict[str, Any]:
    state = {"spillway_names": [name], "spillway_groups": list(groups)}
    return {**user(state, **servers), "name": name}


def test_servers_in_their_owners_teams_run_on():
    hub = Hub(somebody("ada@example.com", one="vision", two="language"), somebody("alan"))

    assert swept(hub) == []


@pytest.mark.parametrize("groups", [(), ("others",)])
def test_whoever_lost_his_group_loses_the_servers_of_that_team_alone(groups):
    hub = Hub(
        somebody("alan", groups=groups, one="vision", two="language"),
        somebody("eve", groups=("vision",), first="vision"),
    )

    assert swept(hub) == ["/alan/servers/one"]


def test_whoever_is_in_no_team_any_more_loses_all_and_names_are_quoted():
    hub = Hub(somebody("jane/x@example.com", **{"": "vision", "a b": "gone"}))

    assert swept(hub) == [
        "/jane%2Fx%40example.com/servers/",
        "/jane%2Fx%40example.com/servers/a%20b",
    ]


def test_somebody_whom_the_provider_turned_out_is_not_let_off_for_his_name():
    out = somebody("ada@example.com", one="vision")
    out["auth_state"]["spillway_names"] = []

    assert swept(Hub(out)) == ["/ada%40example.com/servers/one"]


@pytest.mark.parametrize(("ago", "stopped"), [(DAYS - 60, []), (DAYS + 60, ["/eve/servers/one"])])
def test_a_login_that_has_run_out_ends_servers_after_a_weekend(ago, stopped):
    lapsed = somebody("eve", groups=("vision",), one="vision")
    lapsed["auth_state"]["spillway_lapsed"] = time.time() - ago

    assert swept(Hub(lapsed)) == stopped


def test_one_server_that_will_not_stop_keeps_none_of_the_others():
    hub = Hub(somebody("eve", one="vision", two="language"), refuses="one")

    assert swept(hub) == ["/eve/servers/one", "/eve/servers/two"]


def test_a_hub_that_does_not_answer_is_asked_again_later(monkeypatch):
    asked: list[float] = []

    class Over(Exception):
        pass

    def down(*_: Any) -> None:
        raise requests.ConnectionError("starting")

    def sleep(seconds: float) -> None:
        asked.append(seconds)
        if len(asked) == 3:
            raise Over

    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "t")
    monkeypatch.setattr(sweep, "told", known)
    monkeypatch.setattr(sweep, "sweep", down)
    monkeypatch.setattr(sweep.time, "sleep", sleep)
    with pytest.raises(Over):
        sweep.main()

    assert asked == [sweep.EVERY] * 3
