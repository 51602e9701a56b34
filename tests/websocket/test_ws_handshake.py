"""Opening handshakes, good and bad (RFC 6455 4.2)."""

import pytest

from greenwire.errors import RemoteProtocolError
from greenwire.websocket.handshake import accept_key, response_head, wants_websocket

GOOD = {
    "upgrade": "websocket",
    "connection": "Upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",  # RFC 6455 1.3
}
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def judge(method="GET", version="1.1", **changes):
    headers = GOOD | {name.replace("_", "-"): value for name, value in changes.items()}
    return accept_key(method, version, headers.get)


def test_the_example_of_the_rfc():
    assert judge() == ACCEPT


@pytest.mark.parametrize(
    "changes",
    [
        {"connection": "keep-alive, Upgrade"},  # Firefox
        {"connection": "Upgrade, HTTP2-Settings"},
        {"connection": "UPGRADE"},
        {"connection": " upgrade ,keep-alive"},
        {"upgrade": "WebSocket"},
        {"upgrade": "h2c, websocket"},
        {"sec_websocket_key": " dGhlIHNhbXBsZSBub25jZQ== "},
        {"sec_websocket_extensions": "permessage-deflate"},
    ],
)
def test_good_ones(changes):
    assert judge(**changes) == ACCEPT


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"method": "POST"}, 400),
        ({"version": "1.0"}, 400),
        ({"upgrade": None}, 400),
        ({"upgrade": ""}, 400),
        ({"upgrade": "h2c"}, 400),
        ({"upgrade": "websockets"}, 400),
        ({"connection": None}, 400),
        ({"connection": "keep-alive"}, 400),
        ({"connection": "not-upgrade"}, 400),
        ({"sec_websocket_version": None}, 426),
        ({"sec_websocket_version": "8"}, 426),
        ({"sec_websocket_version": "14"}, 426),
        ({"sec_websocket_version": "13, 8"}, 426),
        ({"sec_websocket_key": None}, 400),
        ({"sec_websocket_key": ""}, 400),
        ({"sec_websocket_key": "dGhlIHNhbXBsZSBub25jZQ"}, 400),  # no padding
        ({"sec_websocket_key": "dGhlIHNhbXBsZSBub25j"}, 400),  # 15 bytes
        ({"sec_websocket_key": "dGhlIHNhbXBsZSBub25jZSE="}, 400),  # 17
        ({"sec_websocket_key": "dGhlIHNhbXBsZSBub25jZ!=="}, 400),
        ({"sec_websocket_key": "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="}, 400),
        ({"sec_websocket_key": "dGhlIHNhbXBsZSBub25jé=="}, 400),
    ],
)
def test_bad_ones(changes, status):
    with pytest.raises(RemoteProtocolError) as caught:
        judge(**changes)
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(None, False), ("", False), ("h2c", False), ("websocket", True), ("h2c, WebSocket", True), ("websocket2", False)],
)
def test_wants_websocket(value, wanted):
    assert wants_websocket({"upgrade": value}.get) is wanted


def test_the_answer():
    head = response_head(ACCEPT, [("Vary", "Origin"), ("X-Name", "café")])
    assert head == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nVary: Origin\r\nX-Name: caf\xe9\r\n\r\n"
    )
