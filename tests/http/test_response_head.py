"""The head of an answer: what is encoded, and what is remembered of it."""

import pytest

from greenwire.http import response


class Text(str):
    """What Markup and its like are."""


@pytest.fixture(autouse=True)
def _nothing_is_known(monkeypatch):
    monkeypatch.setattr(response, "_LINES_JUDGED", {})
    monkeypatch.setattr(response, "_NAMES", {})


@pytest.mark.parametrize("times", [1, 2])
def test_headers_are_encoded(times):
    for _ in range(times):
        fields = response.encode([("X-A", "1"), ("X-A", "1"), ("Content-Length", "3"), ("Set-Cookie", "a=\xe9")])
        assert fields.block == b"X-A: 1\r\nX-A: 1\r\nSet-Cookie: a=\xe9\r\n"
        assert (fields.length, fields.close, fields.dated, fields.named) == (3, False, False, False)


def test_what_is_noted_is_noted_each_time():
    for _ in range(2):
        fields = response.encode([("Connection", "close"), ("Date", "today"), ("Server", "mine"), ("Upgrade", "x")])
        assert (fields.close, fields.dated, fields.named) == (True, True, True)
        assert fields.block == b"Date: today\r\nServer: mine\r\n"


def test_lists_and_other_strings():
    assert response.encode([["X-A", "1"], (Text("X-B"), Text("2"))]).block == b"X-A: 1\r\nX-B: 2\r\n"


@pytest.mark.parametrize(
    "bad", [("X", "a\r\nb"), ("X", "a\nb"), ("X", "a\0"), ("X", 5), ("X", "☃"), (5, "x"), "no", None, ("X Y", "a")]
)
def test_what_is_bad_stays_bad(bad):
    for _ in range(2):
        with pytest.raises(ValueError, match=r"."):
            response.encode([("X-Fine", "1"), bad])


def test_the_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(response, "_LINES_JUDGED_KEPT", 3)
    for number in range(10):
        assert response.encode([("X-Number", str(number))]).block == b"X-Number: %d\r\n" % number
    assert len(response._LINES_JUDGED) == 3


def test_what_varies_or_is_long_is_not_remembered():
    response.encode([("Set-Cookie", "secret"), ("ETag", "x"), ("X-Long", "x" * 300), ("Content-Length", "1")])
    assert response._LINES_JUDGED == {}


def test_lengths():
    assert response.encode([("Content-Length", "5"), ("content-length", "5")]).length == 5
    for bad in (["5", "6"], ["-1"], ["+1"], ["1_0"], ["²"], [""]):
        with pytest.raises(ValueError, match="Content-Length"):
            response.encode([("Content-Length", length) for length in bad])
