"""The fields of an answer: our own, which can be left out, and the application's, with which nothing can be split."""

import pytest

from greenwire.http import response
from greenwire.http.response import encode, head, head_without, plain, status_line

BAD = {
    "a line": ("X-Name", "a\r\nSet-Cookie: b=1"),
    "a bare CR": ("X-Name", "a\rb"),
    "a bare LF": ("X-Name", "a\nb"),
    "a NUL": ("X-Name", "a\0b"),
    "a line in the name": ("X-Name\r\nSet-Cookie", "b=1"),
    "a colon in the name": ("X-Name: a", "b"),
    "a space in the name": ("X Name", "b"),
    "no name": ("", "b"),
    "a number": ("X-Name", 5),
    "bytes": ("X-Name", b"a"),
    "more than latin-1": ("X-Name", "\u20ac"),
    "no pair": ("X-Name",),
    "two lengths": ("Content-Length", "5, 5"),
    "a length with a sign": ("Content-Length", "+5"),
    "a length that is a number": ("Content-Length", 5),
    "a connection that is none": ("Connection", None),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_sent_is_named(name):
    field = BAD[name]
    with pytest.raises(ValueError, match="response header") as caught:
        encode([("X-Good", "a"), field])
    assert (field[0] or "''") in str(caught.value) or repr(field[0])[1:-1] in str(caught.value)


def test_an_application_that_tries_is_answered_for_and_named_in_the_log(serve, caplog):
    def app(environ, start_response):
        start_response("200 OK", [("X-Name", f"a\r\nSet-Cookie: {environ['QUERY_STRING']}=1")])
        return [b"never"]

    client = serve(app=app).connect()
    answer = client.get("/?evil")
    assert (answer.status, answer.get("set-cookie")) == (500, None)
    assert "response header X-Name" in caplog.text
    assert client.get().status == 500


@pytest.mark.parametrize("status", ["200 OK\r\nX: y", "200 a\nb", "200\0"])
def test_a_status_line_cannot_be_split_either(serve, caplog, status):
    def app(environ, start_response):
        start_response(status, [])
        return [b"never"]

    assert serve(app=app).connect().get().status == 500
    assert "status" in caplog.text


@pytest.mark.parametrize(
    ("server", "date", "names"),
    [(True, True, ["Server", "Date"]), (False, True, ["Date"]), (True, False, ["Server"]), (False, False, [])],
)
def test_our_own_fields_can_be_left_out(server, date, names):
    write = head_without(server=server, date=date)
    assert (write is head) is (server and date)
    for found in (write(status_line(200), encode([]), b""), plain(400, "no", write)):
        lines = found.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        assert [line.partition(":")[0] for line in lines if line[:4] in ("Serv", "Date")] == names


def test_the_applications_own_stay():
    write = head_without(server=False, date=False)
    found = write(status_line(200), encode([("Server", "mine"), ("Date", "then")]), b"")
    assert found == b"HTTP/1.1 200 OK\r\nServer: mine\r\nDate: then\r\n\r\n"
    assert response.head(status_line(200), encode([("Server", "mine")]), b"").count(b"Server:") == 1
