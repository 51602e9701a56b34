"""HTTP and WebSocket on plain sockets: a client without an opinion, that can say anything."""

import json
import os
import socket
import struct
from dataclasses import dataclass
from typing import Any

from .waiting import TIMEOUT_S

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
HANDSHAKE = (
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)
Fields = tuple[tuple[str, str], ...]


@dataclass
class Response:
    """One answer."""

    status: int
    fields: list[tuple[str, str]]
    body: bytes = b""

    def all(self, name: str) -> list[str]:
        """All values of the header *name*."""
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        """The value of the header *name*, which stands there once at most."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} stands there {len(values)} times"
        return values[0] if values else None

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """One TCP connection. ``with Connection(port) as raw:``"""

    def __init__(self, port: int, *, receive_buffer: int | None = None, source: str = "") -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_S)
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            if source:  # on Linux every address of 127.0.0.0/8 is ours
                self.sock.bind((source, 0))
            self.sock.connect(("127.0.0.1", port))
        except OSError:
            self.sock.close()
            raise
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.sock.makefile("rb")

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Go away."""
        self.file.close()
        self.sock.close()

    def reset(self) -> None:
        """Go away with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def send_request(self, method: str, target: str, fields: Fields = (), body: bytes | None = None) -> None:
        """Send one request and wait for nothing."""
        self.send(request_bytes(method, target, fields, body))

    def request(self, method: str, target: str, fields: Fields = (), body: bytes | None = None) -> Response:
        """One request and its answer."""
        self.send_request(method, target, fields, body)
        return self.response(method)

    def get(self, target: str, *fields: tuple[str, str]) -> Response:
        return self.request("GET", target, fields)

    def response(self, method: str = "GET") -> Response:
        """The next answer."""
        response = self.head()
        if method == "HEAD" or response.status in (101, 204, 304):
            return response
        length = response.get("content-length")
        response.body = self.file.read() if length is None else self.file.read(int(length))
        return response

    def head(self) -> Response:
        """Status and fields of the next answer."""
        line = self.file.readline().decode("latin-1")
        assert line.startswith("HTTP/1.1 "), f"no status line: {line!r}"
        response = Response(int(line.split(" ")[1]), [])
        while line := self.file.readline().decode("latin-1").rstrip("\r\n"):
            name, value = line.split(": ", 1)
            response.fields.append((name, value))
        return response

    def at_end(self) -> bool:
        """Wait until the server has ended the connection, in whatever way; what still came is thrown away."""
        try:
            while self.file.read1(65_536):
                pass
        except ConnectionResetError:
            pass
        return True


class WebSocket(Connection):
    """A WebSocket whose frames can be written by hand."""

    def open(self, target: str, *fields: tuple[str, str], expect: int = 101) -> Response:
        """Ask for the upgrade."""
        response = self.get(target, *HANDSHAKE, *fields)
        assert response.status == expect, response
        return response

    def open_and_say(self, target: str, *texts: str) -> None:
        """Likewise, with *texts* right behind it: all of it is there at once, however short the time for it is."""
        frames = [frame(TEXT, text.encode()) for text in texts]
        self.send(request_bytes("GET", target, HANDSHAKE) + b"".join(frames))
        response = self.head()
        assert response.status == 101, response

    def send_frame(self, opcode: int, payload: bytes = b"", *, first_byte: int | None = None) -> None:
        """One masked frame, final unless *first_byte* says otherwise."""
        self.send(frame(opcode, payload, first_byte))

    def send_text(self, text: str) -> None:
        self.send_frame(TEXT, text.encode())

    def receive_frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame. Raises ``EOFError`` at the end."""
        try:
            head = self.file.read(2)
        except ConnectionResetError as error:
            raise EOFError from error
        if len(head) < 2:
            raise EOFError
        size = head[1] & 0x7F
        if size >= 126:
            width = 2 if size == 126 else 8
            size = int.from_bytes(self.file.read(width), "big")
        payload = self.file.read(size)
        assert len(payload) == size, "a frame ends early"
        return head[0] & 0x0F, payload

    def receive(self) -> str | bytes:
        """The next message. Raises ``EOFError`` at a close frame or at the end."""
        opcode, payload = self.receive_frame()
        if opcode == CLOSE:
            raise EOFError(close_code(payload))
        assert opcode in (TEXT, BINARY), f"opcode {opcode}: {payload!r}"
        return payload.decode() if opcode == TEXT else payload

    def close_code(self) -> int:
        """Read until the close frame and answer it: its code, 1005 without one, 1006 without a frame."""
        try:
            while True:
                opcode, payload = self.receive_frame()
                if opcode == CLOSE:
                    break
        except EOFError:
            return 1006
        try:
            self.send_frame(CLOSE, payload)
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:  # it did not wait for that
            pass
        return close_code(payload)


def request_bytes(method: str, target: str, fields: Fields = (), body: bytes | None = None) -> bytes:
    """One request."""
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in fields)]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


def refused(port: int) -> bool:
    """Whether nobody listens on *port* any more."""
    try:
        Connection(port).close()
    except (ConnectionRefusedError, ConnectionResetError):
        return True
    return False


def frame(opcode: int, payload: bytes, first_byte: int | None = None) -> bytes:
    """A masked client frame."""
    size = len(payload)
    head = bytes([0x80 | opcode if first_byte is None else first_byte])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 65_536:
        head += b"\xfe" + size.to_bytes(2, "big")
    else:
        head += b"\xff" + size.to_bytes(8, "big")
    mask = os.urandom(4)
    key = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
    return head + mask + (int.from_bytes(payload, "big") ^ key).to_bytes(size, "big")


def close_code(payload: bytes) -> int:
    """The code of a close frame."""
    return int.from_bytes(payload[:2], "big") if payload else 1005
