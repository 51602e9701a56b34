"""The head of an answer: what is encoded, and what is remembered of it."""

from email.utils import formatdate

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


def test_no_length_is_a_length():
    assert response.encode([("Content-Length", "0")]).length == 0


def test_names_are_remembered_within_bounds(monkeypatch):
    monkeypatch.setattr(response, "_NAMES_KEPT", 2)
    for _ in range(2):
        response.encode([("TE", "trailers"), ("X-A", "1"), ("X-B", "2"), ("X-C", "3")])
    assert response._NAMES == {"TE": "te", "X-A": ""}


@pytest.mark.parametrize(("length", "kept"), [(256, 1), (257, 0)])
def test_a_line_is_remembered_up_to_a_length(length, kept):
    response.encode([("X-A", "x" * (length - len("X-A: \r\n")))])
    assert len(response._LINES_JUDGED) == kept


class Clock:
    """What the time is, and how often a date was made of it."""

    def __init__(self) -> None:
        self.now = 784_111_777.0
        self.made: list[float] = []

    def __call__(self) -> float:
        return self.now

    def make(self, second: float, usegmt: bool) -> str:
        self.made.append(second)
        return formatdate(second, usegmt=usegmt)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(response, "time", clock)
    monkeypatch.setattr(response, "formatdate", clock.make)
    monkeypatch.setattr(response._Own, "until", 0.0)
    return clock


def date_of(**noted):
    fields = response.encode([])
    for name, value in noted.items():
        setattr(fields, name, value)
    head = response.head(b"HTTP/1.1 200 OK\r\n", fields, b"")
    lines = head.decode().split("\r\n")
    return next((line for line in lines if line.startswith("Date:")), None)


def test_the_date_is_the_one_of_rfc_9110(clock):  # 5.6.7 has this very example
    assert date_of() == "Date: Sun, 06 Nov 1994 08:49:37 GMT"


def test_a_date_is_made_once_a_second(clock):
    first = clock.now
    for moment in (first, first + 0.5, first + 0.999):
        clock.now = moment
        assert date_of() == "Date: Sun, 06 Nov 1994 08:49:37 GMT"
    clock.now = first + 1
    assert date_of() == date_of(named=True) == "Date: Sun, 06 Nov 1994 08:49:38 GMT"
    assert clock.made == [first, first + 1]


def test_the_date_follows_a_clock_that_is_set_back(clock):
    date_of()
    clock.now -= 0.001
    assert date_of() == "Date: Sun, 06 Nov 1994 08:49:36 GMT"


def test_a_date_is_made_for_an_answer_with_a_server_of_its_own(clock):
    assert date_of(named=True) == "Date: Sun, 06 Nov 1994 08:49:37 GMT"
    assert date_of(dated=True) is None
