"""The parts of the hot path by themselves, without network and event loop: µs for each call, the best of five.

    python benchmarks/micro.py              # all of it, some 20 s
    python benchmarks/micro.py encode face  # what has one of the words in its name

Where a part needs a loop, it gets the one of Flask's test client, which does at once what it is asked: so the sums are
not those of a server, but a part that has become dearer shows. Interpreter and machine decide about the numbers;
compare two commits on one machine.
"""

from __future__ import annotations

import sys
import timeit
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

import flask

import greenwire.flask
from greenwire.engineio.packet import Outgoing
from greenwire.flask.given import GivenRequest
from greenwire.flask.memory import InlineLoop, InlineTasks
from greenwire.socketio.packet import Json, decode, event_encoder
from greenwire.socketio.server import Server
from greenwire.websocket.frame import text_frame

TEXT = "0123456789abcdef" * 2
EVENT = f'2["echo","{TEXT}"]'
ROW = {"name": "abcdefghijklmnopqrstuvwxyz", "price": 12.25, "sold": False, "tags": ["new"]}
DOCUMENT = {"rows": [{"id": number, **ROW} for number in range(24)]}
ROUNDS = 5
CROWD = 1_000
ROUND_S = 0.2
Case = tuple[str, Callable[[], object], int]  # name, what is timed, how many it does in one call


class Peer:
    """An Engine.IO session whose packets go nowhere."""

    transport = "websocket"
    writable = True

    def __init__(self, number: int) -> None:
        with flask.Flask(__name__).test_request_context("/socket.io/") as context:
            self.request = GivenRequest(context.request.environ)
        self.sid = str(number)
        self.owner: Any = None
        self.on_message: Callable[[Any, str | bytes], None] = print
        self.on_close: Callable[[Any, Any], None] = print

    def send(self, packet: Outgoing) -> None:
        """Nothing."""

    def close(self, *reason: object) -> None:
        """Nothing."""

    pause = resume = close


def populated(core: Server, crowd: int) -> list[Peer]:
    """Bind the server to a loop that does everything at once; give its connected clients."""
    loop = InlineLoop()
    dispatcher = core.bind(loop, loop, InlineTasks(loop), loop, print)
    peers = [Peer(number) for number in range(crowd)]
    for peer in peers:
        loop.post(dispatcher.opened, peer)
        loop.ask(peer.on_message, peer.owner, "0")
    return peers


def plain_server() -> Server:
    """One handler, which echoes."""
    server = Server()
    server.on("echo")(lambda sid, data: server.emit("echo", data, to=sid))
    return server


def flask_server() -> Server:
    """The same under Flask."""
    socketio = greenwire.flask.SocketIO(flask.Flask(__name__))
    socketio.on_event("echo", lambda data: greenwire.flask.emit("echo", data))
    return socketio._core


def pure() -> Iterator[Case]:
    """What no loop is needed for."""
    codec = Json()
    payload = f'42["echo","{TEXT}"]'.encode()
    packet = event_encoder(codec)("/", ["echo", DOCUMENT])
    document = packet.parts[0].decode()[1:]
    yield "frame build, 40 B", lambda: text_frame(payload), 1
    yield "packet encode, event of 32 B", lambda: event_encoder(codec)("/", ["echo", TEXT]), 1
    yield "packet encode, JSON of 2 KB", lambda: event_encoder(codec)("/", ["echo", DOCUMENT]), 1
    yield "packet decode, event of 32 B", lambda: decode(codec, EVENT, 10, 18), 1
    yield "packet decode, JSON of 2 KB", lambda: decode(codec, document, 10, 18), 1


def served(kind: str, core: Server) -> Iterator[Case]:
    """What needs a server and one client."""
    [peer] = populated(core, 1)
    dispatcher = core.local.dispatcher
    member = next(iter(dispatcher.spaces["/"].members.values()))
    handler = core.handlers.find("/", "echo")
    loop = core._loop
    assert handler is not None
    assert loop is not None
    yield f"client receive, {kind}", lambda: member.client.receive(EVENT), 1
    yield f"face run and emit, {kind}", lambda: core.face.run(handler, member, "echo", [TEXT]), 1
    yield f"receive path to handler and emit, {kind}", lambda: loop.ask(peer.on_message, peer.owner, EVENT), 1
    yield f"emit to one, {kind}", lambda: core.emit("echo", TEXT, to=member.sid), 1


def crowded() -> Iterator[Case]:
    """What many clients are needed for; for each of them."""
    core = plain_server()
    populated(core, CROWD)
    rooms = core.local.dispatcher.spaces["/"]
    for member in rooms.members.values():
        rooms.join(member, "room")
    yield f"rooms select of {CROWD:,}, each", lambda: rooms.select(["room"]), CROWD
    yield f"rooms select of {CROWD:,} without one, each", lambda: rooms.select(["room"], {"0"}), CROWD
    yield f"broadcast to {CROWD:,}, each", lambda: core.emit("echo", TEXT), CROWD


def cases() -> Iterator[Case]:
    """All of them."""
    yield from pure()
    yield from served("no Flask", plain_server())
    yield from served("Flask", flask_server())
    yield from crowded()


def best_us(work: Callable[[], object]) -> float:
    """The least of some rounds: what else the machine does only adds."""
    timer = timeit.Timer(work)
    once_s = max(timer.timeit(10) / 10, 1e-7)
    number = max(1, int(ROUND_S / once_s))
    return min(timer.repeat(ROUNDS, number)) / number * 1e6


def main() -> None:
    """Measure and print."""
    words = sys.argv[1:]
    print("| part | µs |\n| --- | ---: |")
    for name, work, each in cases():
        if not words or any(word in name for word in words):
            print(f"| {name} | {best_us(work) / each:.3f} |", flush=True)


if __name__ == "__main__":
    main()
