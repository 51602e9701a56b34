"""What docs/migrate.md says is different: as it says on Flask-SocketIO, and as it says here."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from compat.serving import served
from support.waiting import TIMEOUT_S, wait_until

THEIRS, OURS = "flask_socketio", "greenwire.compat"


class Polling:
    """A client that speaks to ``/socket.io/`` itself, packet by packet."""

    def __init__(self, url: str, **headers: str) -> None:
        self.url = f"{url}/socket.io/?EIO=4&transport=polling"
        self.http = requests.Session()
        self.opened = self.http.get(self.url, headers=headers, timeout=10)
        if self.opened.ok:
            self.handshake = json.loads(self.opened.text[1:])
            self.url += f"&sid={self.handshake['sid']}"

    def post(self, *packets: str) -> requests.Response:
        return self.http.post(self.url, "\x1e".join(packets).encode(), timeout=10)

    def until(self, last: str) -> list[str]:
        """What comes, up to the first packet that begins with *last*; without heartbeats."""
        found: list[str] = []

        def come() -> bool:
            found.extend(self.http.get(self.url, timeout=40).text.split("\x1e"))
            if "2" in found:
                self.post("3")
            return any(packet.startswith(last) for packet in found)

        wait_until(come, f"{last} in {found}")
        return [packet for packet in found if packet not in ("2", "6")]

    def told(self, packet: str, last: str) -> list[str]:
        """What comes of *packet*: up to *last*, if there is one, and then before the answer to another event.

        That answer alone says nothing: handlers run side by side.
        """
        self.post(packet)
        found = self.until(last) if last else []
        self.post('427["notes"]')
        return [packet for packet in found + self.until("437") if not packet.startswith(("43", "b"))]

    def answer(self, *packets: str) -> Any:
        """What the acknowledgement number 7 says, which the last of *packets* asks for."""
        self.post(*packets)
        packet = self.until("437")[-1]
        return json.loads(packet.removeprefix("437"))

    def close(self) -> None:
        self.http.close()


@pytest.fixture(scope="module", params=[THEIRS, OURS])
def server(request) -> Iterator[tuple[str, str]]:
    """Which one, and its URL."""
    under = ["-m", OURS] if request.param == OURS else []
    with served(*under, "differences.py", "0") as app:
        yield request.param, app.url


@pytest.fixture
def polling(server: tuple[str, str]) -> Iterator[Callable[..., Polling]]:
    clients: list[Polling] = []

    def connect(**headers: str) -> Polling:
        clients.append(Polling(server[1], **headers))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def client(polling: Callable[..., Polling]) -> Polling:
    """In the namespace ``/``."""
    client = polling()
    client.post("40")
    client.until("40{")
    return client


def refusals(client: Polling, namespace: str, expected: list[str]) -> list[str]:
    """What comes of *namespace*, of which that much is waited for."""
    told = client.told(f"40{namespace},", last="".join(expected[-1:]))
    return [packet.partition(',{"sid"')[0] for packet in told]


def test_an_exception_in_connect_is_told_to_the_client(server, client):
    expected = {THEIRS: [], OURS: ['44/fails,{"message":"Internal server error"}']}[server[0]]
    assert refusals(client, "/fails", expected) == expected


def test_an_error_handler_does_not_accept_a_client(server, client):
    expected = {THEIRS: ["40/handled"], OURS: ['44/handled,{"message":"Connection rejected by server"}']}[server[0]]
    assert refusals(client, "/handled", expected) == expected


def test_the_error_method_of_a_namespace_does_not_see_refusals(server, client):
    expected = {THEIRS: ["40/swallowing"], OURS: ['44/swallowing,{"message":"no entry"}']}[server[0]]
    assert refusals(client, "/swallowing", expected) == expected


def test_a_refused_client_is_told_nothing_else(server, client):
    refused = '44/early,{"message":"too early"}'
    expected = {THEIRS: ['42/early,["early"]', refused], OURS: [refused]}[server[0]]
    assert refusals(client, "/early", expected) == expected


def test_a_disconnect_handler_without_reason_runs_beside_an_error_handler(server, client):
    client.post("40/leaves,")
    client.until("40/leaves")
    client.post('42/leaves,["leave"]')
    client.until("41/leaves")
    expected = {THEIRS: "TypeError", OURS: "it has left"}
    wait_until(lambda: expected[server[0]] in client.answer('427["notes"]')[0])


def test_catch_all_of_events_and_namespaces_together(server, client):
    client.post("40/any,")
    client.until("40/any,{")
    client.post('42/any,7["bid",5]')
    assert client.until("43/any,7")[-1] == {THEIRS: '43/any,7["",400]', OURS: '43/any,7[["bid",5]]'}[server[0]]


def test_nan_is_null(server, client):
    client.post('42["number"]')
    assert client.until('42["number"')[-1] == {THEIRS: '42["number",NaN]', OURS: '42["number",null]'}[server[0]]


def test_more_objects_can_be_sent(server, client):
    uuid = "00000000-0000-0000-0000-000000000001"
    expected = {THEIRS: [], OURS: [f'42["objects",["1.50","{uuid}"]]']}[server[0]]
    assert client.told('42["objects"]', last="".join(expected)) == expected


def test_a_tuple_of_sids_is_skipped(server, client):
    expected = {THEIRS: ['42["skipped?"]'], OURS: []}[server[0]]
    assert client.told('428["skip"]', last="438") == expected


def test_emit_takes_broadcast_and_several_arguments(server, client):
    refused = ["TypeError"]
    assert client.answer('427["try","broadcast"]') == {THEIRS: refused, OURS: []}[server[0]]
    assert client.answer('427["try","two"]') == {THEIRS: refused, OURS: []}[server[0]]


def test_more_than_16_packets_in_a_post(server, client):
    before = client.answer('427["counted"]')[0]
    client.post(*['42["count",1]'] * 100)
    after = before + {THEIRS: 0, OURS: 100}[server[0]]
    wait_until(lambda: client.answer('427["counted"]') == [after])


def test_a_ping_interval_below_a_second(server, client):
    assert client.handshake["pingInterval"] == {THEIRS: 0, OURS: 500}[server[0]]


def test_forwarded_headers_are_not_trusted(server, polling):
    forged = {"Origin": "https://evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
    assert polling(**forged).opened.status_code == {THEIRS: 200, OURS: 400}[server[0]]


def test_https_outside_and_http_inside_is_the_same_origin(server, polling):
    host = server[1].removeprefix("http://")
    assert polling(Origin=f"https://{host}").opened.status_code == {THEIRS: 400, OURS: 200}[server[0]]
    assert polling(Origin=f"http://{host}").opened.status_code == 200
    assert polling(Origin="http://elsewhere.example").opened.status_code == 400


def test_refused_requests_are_answered_as_nodejs_does(server):
    expected = {
        THEIRS: [
            "Invalid session xyz",
            "Invalid transport",
            "The client is using an unsupported version of the Socket.IO or Engine.IO protocols",
            "Not an accepted origin.",
        ],
        OURS: [
            {"code": 1, "message": "Session ID unknown"},
            {"code": 0, "message": "Transport unknown"},
            {"code": 5, "message": "Unsupported protocol version"},
            {"code": 3, "message": "Not an accepted origin; see the option cors_allowed_origins"},
        ],
    }
    asked = [
        ("EIO=4&transport=polling&sid=xyz", {}),
        ("EIO=4&transport=smoke", {}),
        ("EIO=3&transport=polling", {}),
        ("EIO=4&transport=polling", {"Origin": "http://elsewhere.example"}),
    ]
    answers = [requests.get(f"{server[1]}/socket.io/?{query}", headers=headers, timeout=10) for query, headers in asked]
    assert [answer.status_code for answer in answers] == [400] * 4
    assert [answer.json() for answer in answers] == expected[server[0]]


@pytest.mark.parametrize(("body", "status"), [("4" + "x" * 60_000, 413), ("9", 400)], ids=["too large", "unknown type"])
def test_a_post_that_is_refused_does_not_block(server, client, body: str, status: int):
    if server[0] == THEIRS:  # a thread of it stands still for ever
        with pytest.raises(requests.exceptions.ReadTimeout):
            client.http.post(client.url, body, timeout=0.5)
    else:
        assert client.post(body).status_code == status


def test_auth_that_is_empty(server, client):
    client.post("40/auth,{}")
    client.until("40/auth")
    assert {"auth": None} in client.answer('427["notes"]')[0]


def test_coroutine_functions_are_handlers(server, client):
    client.post('427["wait",5]')
    if server[0] == THEIRS:  # a coroutine is no answer that could be sent
        client.post('428["notes"]')
        assert "437" not in {packet[:3] for packet in client.until("438")}
    else:
        assert client.until("437") == ["437[5]"]


def test_a_clients_own_room_cannot_be_left(server, client):
    expected = {THEIRS: [], OURS: ['42["still there"]']}[server[0]]
    assert client.told('428["leave myself"]', last="438") == expected


def test_the_room_of_another_client_cannot_be_entered(server, client, polling):
    other = polling()
    other.post("40")
    sid = json.loads(other.until("40{")[-1][2:])["sid"]
    assert client.answer(f'427["forbidden room","{sid}"]') == ["cannot enter a sid room"]


def test_a_call_to_nobody_fails_at_once(server, client):
    assert client.answer('427["call nobody"]') == [{THEIRS: "TimeoutError", OURS: "DisconnectedError"}[server[0]]]


def test_include_self_counts_beside_skip_sid(server, client):
    expected = {THEIRS: ['42["emitted"]'], OURS: []}[server[0]]
    assert client.told('428["skip others"]', last="438") == expected


def test_more_kinds_of_bytes_can_be_sent(server, client):
    placed = '{"_placeholder":true,"num":%d}'
    sent = f'452-["bytes",[{placed % 0},{{"in a tuple":[{placed % 1}]}}]]'
    expected = {THEIRS: [], OURS: [sent]}[server[0]]
    assert client.told('42["bytes"]', last="".join(expected)) == expected


@pytest.mark.parametrize("name", [THEIRS, OURS])
def test_an_unknown_namespace(name: str):
    with served(*(["-m", OURS] if name == OURS else []), "chat.py", "0") as app:
        client = Polling(app.url)
        client.post("40/nowhere,")
        expected = {THEIRS: '44/nowhere,"Unable to connect"', OURS: '44/nowhere,{"message":"Invalid namespace"}'}
        assert client.until("44") == [expected[name]]
        client.close()


@pytest.mark.parametrize("name", [THEIRS, OURS])
def test_stop_works_from_a_view_and_ends_background_tasks(name: str, tmp_path):
    ended = tmp_path / "task"
    with served(*(["-m", OURS] if name == OURS else []), "stops.py", "0", str(ended)) as app:
        app.connect()
        assert requests.get(f"{app.url}/start", timeout=10).text == "started"
        told = requests.get(f"{app.url}/stop", timeout=10).text
        if name == THEIRS:
            assert told == "Cannot stop unknown web server"
            assert app.process.poll() is None
        else:
            assert told == "stopping"
            assert app.process.wait(TIMEOUT_S) == 0
            assert ended.read_text() == "ended"
            assert ended.with_name("task.gone").read_text() == "server disconnect"
