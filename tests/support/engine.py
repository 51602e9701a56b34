"""Engine.IO and Socket.IO clients by hand, on the plain sockets of raw.py."""

import json
from typing import Any

from .raw import Connection, Response, WebSocket

SEPARATOR = "\x1e"
POLLING = "/socket.io/?EIO=4&transport=polling"
WEBSOCKET = "/socket.io/?EIO=4&transport=websocket"


class Polling(Connection):
    """A session over HTTP long-polling. One connection; a second one where two requests overlap."""

    sid = ""

    def handshake(self, *fields: tuple[str, str], query: str = "") -> dict[str, Any]:
        """Open a session."""
        response = self.get(POLLING + query, *fields)
        assert response.status == 200, response
        assert response.text[0] == "0"
        opened: dict[str, Any] = json.loads(response.text[1:])
        self.sid = opened["sid"]
        return opened

    @property
    def target(self) -> str:
        return f"{POLLING}&sid={self.sid}"

    def poll(self) -> list[str]:
        """The packets of one GET."""
        response = self.get(self.target)
        assert response.status == 200, response
        return response.text.split(SEPARATOR)

    def post(self, *packets: str) -> Response:
        """One POST of *packets*."""
        return self.request("POST", self.target, (), SEPARATOR.join(packets).encode())

    def say(self, *packets: str) -> None:
        """Like :meth:`post`, and it must go well."""
        response = self.post(*packets)
        assert (response.status, response.body) == (200, b"ok"), response

    def join(self, namespace: str = "/", auth: Any = None) -> str:
        """Handshake, CONNECT, and the sid in the namespace."""
        if not self.sid:
            self.handshake()
        self.say(connect(namespace, auth))
        answers: list[str] = []
        while not answers:
            packets = self.poll()
            if "2" in packets:  # where pings come often, or the machine is slow
                self.say("3")
            answers = [packet for packet in packets if packet != "2"]
        assert answers[0].startswith("40"), answers
        sid: str = json.loads(answers[0][answers[0].index("{") :])["sid"]
        return sid

    def emit(self, *args: Any) -> None:
        self.say("42" + json.dumps(args))


class Client(WebSocket):
    """A Socket.IO client straight on a WebSocket."""

    sid = ""

    def handshake(self, *fields: tuple[str, str], query: str = "") -> dict[str, Any]:
        """Open a session."""
        self.open(WEBSOCKET + query, *fields)
        packet = self.receive()
        assert isinstance(packet, str)
        assert packet[0] == "0"
        opened: dict[str, Any] = json.loads(packet[1:])
        self.sid = opened["sid"]
        return opened

    def join(self, namespace: str = "/", auth: Any = None, *fields: tuple[str, str], query: str = "") -> str:
        """Handshake, CONNECT, and the sid in the namespace."""
        if not self.sid:
            self.handshake(*fields, query=query)
        self.send_text(connect(namespace, auth))
        answer = self.packet()
        assert answer.startswith("40"), answer
        sid: str = json.loads(answer[answer.index("{") :])["sid"]
        return sid

    def emit(self, *args: Any, ack: int | str = "", namespace: str = "/") -> None:
        prefix = "" if namespace == "/" else namespace + ","
        self.send_text(f"42{prefix}{ack}{json.dumps(args)}")

    def call(self, *args: Any, ack: int = 1, namespace: str = "/") -> list[Any]:
        """Emit and wait for the acknowledgement; other packets may not come before it."""
        self.emit(*args, ack=ack, namespace=namespace)
        prefix = "43" if namespace == "/" else f"43{namespace},"
        answer = self.packet()
        assert answer.startswith(f"{prefix}{ack}["), answer
        args_back: list[Any] = json.loads(answer[len(prefix) + len(str(ack)) :])
        return args_back

    def packet(self) -> str:
        """The next text packet that is no ping; pings are answered."""
        while (message := self.receive()) == "2":
            self.send_text("3")
        assert isinstance(message, str)
        return message

    def event(self) -> list[Any]:
        """The arguments of the next packet, which is an event of any namespace."""
        packet = self.packet()
        assert packet.startswith("42"), packet
        event: list[Any] = json.loads(packet[packet.index("[") :])
        return event


def connect(namespace: str = "/", auth: Any = None) -> str:
    """A CONNECT packet."""
    payload = "" if auth is None else json.dumps(auth)
    return "40" + payload if namespace == "/" else f"40{namespace},{payload}"
