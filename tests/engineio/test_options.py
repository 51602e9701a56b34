"""The options of an Engine.IO server, and the forms of its cookie."""

import pytest

from greenwire.engineio.options import Options, set_cookie
from greenwire.errors import ConfigurationError

NUMBERS = ["ping_interval", "ping_timeout", "max_http_buffer_size", "upgrade_timeout"]


def test_defaults_are_those_of_the_protocol():
    options = Options()
    assert (options.ping_interval, options.ping_timeout) == (25, 20)
    assert options.max_http_buffer_size == 1_000_000
    assert options.upgrades == ["websocket"]
    assert options.cookie is None


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [0, -1, True, "25", None, (25, 5), float("nan"), float("inf")])
def test_numbers(name, value):
    with pytest.raises(ConfigurationError, match=name):
        Options(**{name: value})


def test_a_size_may_be_written_with_an_exponent():
    size = Options(max_http_buffer_size=1e8).max_http_buffer_size
    assert (size, type(size)) == (100_000_000, int)
    with pytest.raises(ConfigurationError, match="max_http_buffer_size"):
        Options(max_http_buffer_size=0.5)


@pytest.mark.parametrize(
    ("given", "known", "upgrades"),
    [
        ("websocket", ("websocket",), ["websocket"]),
        ("polling", ("polling",), []),
        (["polling", "websocket"], ("polling", "websocket"), ["websocket"]),
        (["websocket", "webtransport"], ("websocket",), ["websocket"]),
    ],
)
def test_transports(given, known, upgrades):
    options = Options(transports=given)
    assert (options.transports, options.upgrades) == (known, upgrades)
    assert Options(transports=given, allow_upgrades=False).upgrades == []


@pytest.mark.parametrize("transports", ["", [], "webtransport", ["long-polling"]])
def test_a_server_without_a_transport_is_a_mistake(transports):
    with pytest.raises(ConfigurationError, match="choose from"):
        Options(transports=transports)


@pytest.mark.parametrize(
    ("option", "header"),
    [
        (None, None),
        ("", None),
        (False, None),
        ({}, None),
        ("io", "io=SID; path=/; SameSite=Lax"),
        ({"name": "sid"}, "sid=SID"),
        ({"path": "/x"}, "io=SID; path=/x"),
        ({"name": "a", "HttpOnly": True, "Secure": False, "Domain": None}, "a=SID; HttpOnly"),
        ({"name": "a", "Max-Age": 3600}, "a=SID; Max-Age=3600"),
        ({"name": "a", "Path": lambda: "/now", "Secure": lambda: True}, "a=SID; Path=/now; Secure"),
    ],
)
def test_the_cookie(option, header):
    assert set_cookie(Options(cookie=option).cookie, "SID") == header


@pytest.mark.parametrize("cookie", [True, 1, ["io"], b"io"])
def test_what_is_no_cookie_is_said_at_the_start_and_not_to_the_first_client(cookie):
    with pytest.raises(ConfigurationError, match="cookie"):
        Options(cookie=cookie)
