"""The floor for Python: uvloop, picows, and one function call for each message.

It speaks Socket.IO to the load generator and to nobody else: it checks nothing, keeps no session, and calls no handler.
Whatever is a server on this loop and this parser costs more.
"""

from __future__ import annotations

import asyncio

import uvloop
from listening import announce, arguments
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

HELLO = b'0{"sid":"floor","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'
WELCOME = b'40{"sid":"floor"}'
ECHO, ACK, LOUD, LOUD_ACK = b'42["echo",', b'427["ack",', b'42["broadcast",', b'427["broadcast",'
EVERYBODY: dict[Client, None] = {}


def framed(text: bytes) -> bytes:
    """One text frame; nothing longer than 64 KiB is sent here."""
    size = len(text)
    return (bytes((0x81, size)) if size < 126 else b"\x81\x7e" + size.to_bytes(2, "big")) + text


class Client(WSListener):
    """One connection. What is sent in a turn leaves in one write, as it does in ours."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.out: list[bytes] = []
        self.write = transport.underlying_transport.write
        EVERYBODY[self] = None
        self.say(framed(HELLO))

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        EVERYBODY.pop(self, None)

    def say(self, frame: bytes) -> None:
        """Send it at the end of the turn."""
        if not self.out:
            LOOP.call_soon(self.flush)
        self.out.append(frame)

    def flush(self) -> None:
        """The end of the turn."""
        self.write(self.out[0] if len(self.out) == 1 else b"".join(self.out))
        self.out.clear()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
            return
        text = frame.get_payload_as_bytes()
        if text.startswith(ECHO):
            self.say(framed(text))
        elif text.startswith(ACK):
            self.say(framed(b"437[" + text[len(ACK) :]))
        elif text.startswith((LOUD, LOUD_ACK)):
            acknowledged = text.startswith(LOUD_ACK)
            loud = framed(b"42" + text[2 + acknowledged :])
            for client in EVERYBODY:
                client.say(loud)
            if acknowledged:
                self.say(framed(b"437[]"))
        elif text.startswith(b"40"):
            self.say(framed(WELCOME))


def connected(request: WSUpgradeRequest) -> Client:
    """What picows asks for each connection."""
    return Client()


async def main(port: int) -> None:
    """Serve until the process is ended."""
    server = await ws_create_server(connected, "127.0.0.1", port, backlog=4096, enable_auto_ping=False)
    announce(server.sockets[0].getsockname()[1])
    await asyncio.Event().wait()


given = arguments()
LOOP = uvloop.new_event_loop()
LOOP.run_until_complete(main(given.port))
