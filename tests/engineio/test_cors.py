"""Which origins may connect, and what their browsers are told."""

import pytest

from greenwire.engineio.cors import CorsPolicy
from greenwire.errors import ConfigurationError

A, B = "https://a.example", "https://b.example"
ENVIRON = {"REMOTE_ADDR": "127.0.0.1"}


def accepts(policy, origin, scheme="http", host="a.example"):
    return policy.accepts(origin, scheme, host, lambda: ENVIRON)


class Asked:
    """A callable object that takes only the origin."""

    def __call__(self, origin):
        return origin == A


@pytest.mark.parametrize(
    ("allowed", "origin", "good"),
    [
        # None: the same origin only
        (None, None, True),
        (None, "http://a.example", True),
        (None, A, True),  # a proxy in front took TLS off
        (None, B, False),
        (None, "http://a.example:8080", False),
        (None, "http://a.example.evil", False),
        (None, "http://evil/http://a.example", False),
        (None, "null", False),
        (None, "", False),
        ("*", B, True),
        ("*", "null", True),
        (["*"], B, True),
        ([A, "*"], B, True),
        (A, A, True),
        (A, B, False),
        (A, "HTTPS://A.EXAMPLE", False),
        (A, None, True),
        ([A, B], B, True),
        ((A,), B, False),
        ({A, B}, A, True),
        (iter([A]), A, True),
        ([A], "http://a.example", False),
        ([], B, True),
        ((), "null", True),
        (lambda origin: origin == A, A, True),
        (lambda origin: origin == A, B, False),
        (lambda origin, environ: environ is ENVIRON and origin == A, A, True),
        (lambda *args: len(args) == 2, A, True),
        (lambda origin, **rest: not rest and origin == A, A, True),
        (Asked(), A, True),
        (Asked(), B, False),
        (lambda origin: "yes", B, True),  # truth, not True
        (lambda origin: None, B, False),
        ({A: 1}.__contains__, A, True),  # written in C
        ({A}.__contains__, B, False),
        (str.isdigit, B, False),
        (lambda origin: False, None, True),  # not asked
    ],
)
def test_origins(allowed, origin, good):
    assert accepts(CorsPolicy(allowed), origin) is good


def test_https_is_not_the_same_site_as_http_the_other_way_round():
    assert not accepts(CorsPolicy(), "http://a.example", scheme="https")
    assert accepts(CorsPolicy(), A, scheme="https")


@pytest.mark.parametrize(
    "allowed", ["a.example", "https://a.example/", ["https://a.example", "b"], "", [b"x"], [1], "null"]
)
def test_what_can_never_match_is_an_error_that_names_the_option(allowed):
    with pytest.raises(ConfigurationError, match="cors_allowed_origins"):
        CorsPolicy(allowed)


def test_the_environ_is_made_only_for_those_who_want_it():
    policy = CorsPolicy(lambda origin: True)
    assert policy.accepts(A, "http", "x", lambda: pytest.fail("nobody asked for it"))


def test_headers_echo_the_origin():
    assert CorsPolicy("*").headers(A) == [
        ("Access-Control-Allow-Origin", A),
        ("Vary", "Origin"),
        ("Access-Control-Allow-Credentials", "true"),
    ]
    assert CorsPolicy("*", credentials=False).headers(A) == [("Access-Control-Allow-Origin", A), ("Vary", "Origin")]


@pytest.mark.parametrize(("allowed", "origin"), [("*", None), ([], A), ([], None)])
def test_no_headers_without_an_origin_or_with_cors_off(allowed, origin):
    assert CorsPolicy(allowed).headers(origin) == []


def test_preflight():
    headers = CorsPolicy("*").preflight(A, "x-token, content-type")
    assert headers[:3] == CorsPolicy("*").headers(A)
    assert dict(headers[3:5]) == {
        "Access-Control-Allow-Methods": "GET,HEAD,PUT,PATCH,POST,DELETE",
        "Access-Control-Allow-Headers": "x-token, content-type",
    }
    assert ("Vary", "Access-Control-Request-Headers") in headers
    assert "Access-Control-Allow-Headers" not in dict(CorsPolicy("*").preflight(A, None))


def test_an_error_of_the_user_s_function_is_its_own():
    def broken(origin, environ):
        raise TypeError("mine")

    with pytest.raises(TypeError, match="mine"):
        accepts(CorsPolicy(broken), A)
