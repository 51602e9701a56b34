"""What proxies say of a request: tables of headers, and what becomes of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenwire.errors import ConfigurationError
from greenwire.http.forwarded import ALL, Forwarding, believe, believed_headers
from greenwire.http.request import Request
from greenwire.http.wsgi import environ_of
from greenwire.net.trust import Trusted

PROXY = ("10.0.0.1", 5000)


def request_of(headers, peer=PROXY, host="inner:8000"):
    fields = [("host", host), *((name.lower(), value) for name, value in headers)]
    return Request("GET", "/", "/", "", "1.1", fields, peer, ("10.0.0.9", 8000), "http")


def environ(headers, trusted="10.0.0.0/8", names=ALL, peer=PROXY):
    request = request_of(headers, peer)
    believe(request, Trusted(trusted), believed_headers(names))
    return environ_of(request)


def client(headers, **options):
    return environ(headers, **options)["REMOTE_ADDR"]


def url(headers, **options):
    found = environ(headers, **options)
    return f"{found['wsgi.url_scheme']}://{found['HTTP_HOST']}", f"{found['SERVER_NAME']} {found['SERVER_PORT']}"


def xff(*values):
    return [("X-Forwarded-For", value) for value in values]


# --- who

WHO = {
    "one hop": (xff("203.0.113.9"), "203.0.113.9"),
    "a forged left end": (xff("6.6.6.6, 203.0.113.9"), "203.0.113.9"),
    "two hops": (xff("203.0.113.9, 10.0.0.2"), "203.0.113.9"),
    "a forged left end and two hops": (xff("10.0.0.3, 203.0.113.9, 10.0.0.2"), "203.0.113.9"),
    "two fields": (xff("6.6.6.6", "203.0.113.9, 10.0.0.2"), "203.0.113.9"),
    "only proxies": (xff("10.0.0.4, 10.0.0.2"), "10.0.0.4"),
    "no spaces": (xff("6.6.6.6,203.0.113.9,10.0.0.2"), "203.0.113.9"),
    "nothing": (xff(""), "10.0.0.1"),
    "unknown": (xff("unknown"), "10.0.0.1"),
    "unknown behind a hop": (xff("6.6.6.6, unknown, 10.0.0.2"), "10.0.0.2"),
    "garbage": (xff("6.6.6.6, <script>, 10.0.0.2"), "10.0.0.2"),
    "an empty value": (xff("6.6.6.6, , 10.0.0.2"), "10.0.0.2"),
    "with a port": (xff("203.0.113.9:4711"), "203.0.113.9"),
    "IPv6": (xff("2001:DB8::9"), "2001:db8::9"),
    "IPv6 in brackets": (xff("[2001:db8::9]"), "2001:db8::9"),
    "IPv6 with a port": (xff("[2001:db8::9]:4711"), "2001:db8::9"),
    "IPv4 in IPv6": (xff("::ffff:203.0.113.9"), "203.0.113.9"),
    "an interface": (xff("fe80::1%lo"), "10.0.0.1"),
    "half a bracket": (xff("[2001:db8::9"), "10.0.0.1"),
    "a thousand proxies": (xff("6.6.6.6, " + ", ".join(["10.0.0.2"] * 1_000)), "10.0.0.2"),
    "Forwarded": ([("Forwarded", "for=203.0.113.9")], "203.0.113.9"),
    "Forwarded, two hops": ([("Forwarded", "for=6.6.6.6, for=203.0.113.9;by=x, For=10.0.0.2")], "203.0.113.9"),
    "Forwarded, two fields": ([("Forwarded", "for=6.6.6.6"), ("Forwarded", "for=203.0.113.9")], "203.0.113.9"),
    "Forwarded, IPv6": ([("Forwarded", 'for="[2001:db8::9]:4711"')], "2001:db8::9"),
    "Forwarded, hidden": ([("Forwarded", "for=6.6.6.6, for=_hidden, for=10.0.0.2")], "10.0.0.2"),
    "Forwarded, unknown": ([("Forwarded", "for=unknown")], "10.0.0.1"),
    "Forwarded, a comma in quotes": ([("Forwarded", 'host="a,for=6.6.6.6";for=203.0.113.9')], "203.0.113.9"),
    "Forwarded, an open quote": ([("Forwarded", 'for="203.0.113.9')], "10.0.0.1"),
    "Forwarded, what an open quote swallows": ([("Forwarded", 'for="6.6.6.6, for=203.0.113.9')], "10.0.0.1"),
    "Forwarded, malformed left of a hop": ([("Forwarded", "for=6.6.6.6;;, for=10.0.0.2")], "10.0.0.2"),
    "Forwarded, twice the same": ([("Forwarded", "for=203.0.113.9;for=6.6.6.6")], "10.0.0.1"),
    "Forwarded, escapes": ([("Forwarded", 'for="203\\.0.113.9"')], "203.0.113.9"),
    "X-Forwarded-For wins": ([("Forwarded", "for=6.6.6.6"), *xff("203.0.113.9")], "203.0.113.9"),
    "no header": ([], "10.0.0.1"),
}


@pytest.mark.parametrize("name", WHO)
def test_who_the_client_is(name):
    headers, address = WHO[name]
    assert client(headers) == address


def test_what_the_client_wrote_stays_to_be_seen():
    found = environ(xff("6.6.6.6, 203.0.113.9"))
    assert found["HTTP_X_FORWARDED_FOR"] == "6.6.6.6, 203.0.113.9"


def test_everybody_is_believed_for_one_hop():
    assert client(xff("6.6.6.6, 203.0.113.9"), trusted="*") == "203.0.113.9"


def test_a_unix_proxy():
    assert client(xff("6.6.6.6, 203.0.113.9"), trusted="unix:", peer="") == "203.0.113.9"


# --- what was asked for

P, H, N, F = "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "Forwarded"
WHAT = {
    "https": ([(P, "https")], "https://inner:8000", "inner 8000"),
    "wss": ([(P, "wss")], "https://inner:8000", "inner 8000"),
    "a host": ([(H, "example.com")], "http://example.com", "example.com 80"),
    "a host by https": ([(H, "example.com"), (P, "https")], "https://example.com", "example.com 443"),
    "a host with a port": ([(H, "example.com:8443"), (P, "https")], "https://example.com:8443", "example.com 8443"),
    "a port": ([(H, "example.com"), (P, "https"), (N, "8443")], "https://example.com:8443", "example.com 8443"),
    "the usual port": ([(H, "example.com:80"), (P, "https"), (N, "443")], "https://example.com", "example.com 443"),
    "a port alone": ([(N, "9000")], "http://inner:9000", "inner 9000"),
    "IPv6": ([(H, "[2001:db8::9]"), (N, "81")], "http://[2001:db8::9]:81", "[2001:db8::9] 81"),
    "another scheme": ([(P, "ftp")], "http://inner:8000", "10.0.0.9 8000"),
    "a host with a path": ([(H, "example.com/x")], "http://inner:8000", "10.0.0.9 8000"),
    "a host with a user": ([(H, "a@example.com")], "http://inner:8000", "10.0.0.9 8000"),
    "an empty host": ([(H, "")], "http://inner:8000", "10.0.0.9 8000"),
    "port 0": ([(N, "0")], "http://inner:8000", "10.0.0.9 8000"),
    "a port too large": ([(N, "65536")], "http://inner:8000", "10.0.0.9 8000"),
    "a very long port": ([(N, "9" * 5_000)], "http://inner:8000", "10.0.0.9 8000"),
    "the nearest proxy's word": ([(P, "http, https"), *xff("203.0.113.9")], "https://inner:8000", "inner 8000"),
    "the same hop's word": (
        [(P, "http, https, http"), *xff("6.6.6.6, 203.0.113.9, 10.0.0.2")],
        "https://inner:8000",
        "inner 8000",
    ),
    "Forwarded": (
        [(F, 'for=203.0.113.9;proto=https;host="example.com:8443"')],
        "https://example.com:8443",
        "example.com 8443",
    ),
    "Forwarded, forged left": (
        [(F, "proto=https;host=evil.com, for=203.0.113.9")],
        "http://inner:8000",
        "10.0.0.9 8000",
    ),
    "Forwarded, hidden": ([(F, "for=_x;proto=https")], "https://inner:8000", "inner 8000"),
}


@pytest.mark.parametrize("name", WHAT)
def test_what_the_client_asked_for(name):
    headers, expected, server = WHAT[name]
    assert url(headers) == (expected, server)


@pytest.mark.parametrize("names", [None, "x-forwarded-for", ["X-Forwarded-For"], "x-forwarded-for, x-forwarded-proto"])
def test_only_the_headers_that_the_proxy_sets(names):
    headers = [*xff("203.0.113.9"), (H, "evil.com"), (N, "666"), (F, "for=6.6.6.6;host=evil.com")]
    assert url(headers, names=names) == ("http://inner:8000", "10.0.0.9 8000")
    assert client(headers, names=names) == "203.0.113.9"


def test_only_forwarded():
    assert client([*xff("6.6.6.6"), (F, "for=203.0.113.9")], names="forwarded") == "203.0.113.9"


def test_a_header_that_does_not_exist_is_named():
    with pytest.raises(ConfigurationError, match="x-real-ip"):
        believed_headers(["X-Real-IP"])


# --- from whom


class Seen:
    def __init__(self, request):
        self.request = request


@pytest.mark.parametrize(("peer", "expected"), [(PROXY, "203.0.113.9"), (("192.0.2.1", 1), "192.0.2.1"), ("", "")])
def test_only_named_peers_are_believed(peer, expected):
    seen = []
    exchange = Seen(request_of([*xff("203.0.113.9"), (P, "https"), (H, "evil.com")], peer))
    Forwarding(Trusted("10.0.0.0/8"), seen.append).handle(exchange)
    assert seen == [exchange]
    found = environ_of(exchange.request)
    assert found["REMOTE_ADDR"] == expected
    assert found["HTTP_X_FORWARDED_FOR"] == "203.0.113.9"
    if peer != PROXY:
        assert (found["wsgi.url_scheme"], found["HTTP_HOST"]) == ("http", "inner:8000")


@given(st.sampled_from(ALL), st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=200))
def test_garbage_is_nobodys_word(name, value):
    found = environ([(name, value)])
    assert found["wsgi.url_scheme"] in ("http", "https")
    assert found["SERVER_PORT"].isdecimal()
    assert found["REMOTE_ADDR"]


@given(st.text('for=";,\\ [].:192proto', max_size=120))
def test_garbage_in_forwarded(value):
    assert environ([(F, value)])["REMOTE_ADDR"]


def test_long_headers_take_no_time():
    for value in ('"' * 60_000, 'for="\\' * 10_000, "," * 60_000, "for=a;" * 10_000, 'a="' + "\\" * 59_000):
        assert client([(F, value)]) == "10.0.0.1"
        assert client(xff(value)) == "10.0.0.1"
