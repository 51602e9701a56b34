"""The access log: its formats, what cannot be forged, and a file that may be full or moved away."""

import base64
import errno
import json
import logging
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenwire.errors import ConfigurationError
from greenwire.http.log import AccessLog
from greenwire.http.log_file import LineFile
from greenwire.http.request import Request

MOMENT = r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]"


def request_of(*headers, target="/a", peer=("192.0.2.1", 1234), query=""):
    return Request("GET", target, "/a", query, "1.1", list(headers), peer, ("192.0.2.2", 80), "http")


def line(form, *headers, status=200, sent_bytes=5, seconds=0.25, close_code=None, **given):
    lines = []
    AccessLog(form, lines.append)(request_of(*headers, **given), status, sent_bytes, seconds, close_code)
    return lines[0]


# --- formats


def test_common():
    assert re.fullmatch(rf'192\.0\.2\.1 - - {MOMENT} "GET /a HTTP/1\.1" 200 5', line("common"))


def test_combined():
    with_agent = line("combined", ("referer", "http://b/"), ("user-agent", "curl"), status=404, sent_bytes=0)
    assert with_agent.endswith('"GET /a HTTP/1.1" 404 - "http://b/" "curl" 0.250000')
    assert line("combined").endswith('200 5 "-" "-" 0.250000')


def test_json():
    found = json.loads(line("json", ("host", "b"), ("user-agent", 'x"\n\x1b')))
    assert found.pop("time")
    assert found == {
        "address": "192.0.2.1",
        "user": "-",
        "method": "GET",
        "target": "/a",
        "protocol": "HTTP/1.1",
        "host": "b",
        "status": 200,
        "bytes": 5,
        "seconds": 0.25,
        "referrer": "",
        "user_agent": 'x"\n\x1b',
    }
    assert json.loads(line("json", close_code=1001))["close_code"] == 1001


def test_a_websocket_tells_its_close_code():
    assert line("common", status=101, close_code=1001).endswith("101 5 1001")
    assert line("combined", status=101, close_code=1006).endswith("0.250000 1006")
    assert line("%(s)s %(c)s", close_code=1000) == "200 1000"


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("%(h)s %(l)s %(u)s", "192.0.2.1 - -"),
        ("%(r)s|%(m)s|%(U)s|%(q)s|%(H)s", "GET /a?x=1 HTTP/1.1|GET|/a|x=1|HTTP/1.1"),
        ("%(s)s %(b)s %(B)s", "200 5 5"),
        ("%(T)s %(M)s %(D)s %(L)s", "1 1250 1250000 1.250000"),
        ("%(D)d", "1250000"),
        ("%(p)s", f"<{os.getpid()}>"),
        ("%(f)s %(a)s %(c)s", "- - -"),
        ("%({x-Name}i)s %({absent}i)s", "v -"),
        ("100%% %(s)s%%", "100% 200%"),
        ("nothing", "nothing"),
    ],
)
def test_gunicorns_atoms(form, expected):
    assert line(form, ("x-name", "v"), seconds=1.25, target="/a?x=1", query="x=1") == expected


@pytest.mark.parametrize("form", ["%(x)s", "%({x}o)s", "%({x}e)s", "%s", "50%", "%(s)x", "%()s", "combin%d"])
def test_what_is_no_format(form):
    with pytest.raises(ConfigurationError, match="access_log"):
        AccessLog(form)


@pytest.mark.parametrize(
    ("value", "user"),
    [
        ("Basic " + base64.b64encode(b"ada:secret").decode(), "ada"),
        ("basic " + base64.b64encode(b'a"\n:x').decode(), "a\\x22\\x0a"),
        ("Basic !!!", "-"),
        ("Basic ", "-"),
        ("Bearer abc", "-"),
    ],
)
def test_the_user(value, user):
    found = line("%(u)s", ("authorization", value))
    assert found == user
    assert "secret" not in found


def test_nothing_can_be_forged():
    agent = ("user-agent", 'x" 200 1\r\n\x1b[31m\\\xe9')
    found = line("combined", agent, target='/"')
    assert '"GET /\\x22 HTTP/1.1"' in found
    assert '"x\\x22 200 1\\x0d\\x0a\\x1b[31m\\x5c\\xe9"' in found


FORMS = ["combined", "json", "%({x}i)s %(r)s %(q)s %(u)s %(U)s"]


@given(st.text(st.characters(codec="latin-1")), st.sampled_from(FORMS))
def test_a_line_is_one_line(text, form):
    headers = [(name, text) for name in ("user-agent", "referer", "x", "authorization", "host")]
    found = line(form, *headers, target=text, query=text)
    assert found.isascii() or form == "json"
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", found)
    if form == "json":
        assert json.loads(found)["user_agent"] == text


def test_a_unix_client_has_no_address():
    assert line("common", peer="").startswith("- - - [")


def test_without_a_file_it_goes_to_the_logger(caplog):
    with caplog.at_level(logging.INFO, "greenwire.access"):
        AccessLog("%(s)s 100%%")(request_of(), 204, 0, 0.0)
    assert caplog.records[0].getMessage() == "204 100%"


# --- a file


@pytest.fixture
def file(tmp_path):
    dirty = []
    made = LineFile(tmp_path / "log", dirty.append)
    made.dirty = dirty
    made.path = tmp_path / "log"
    yield made
    made.close()


def test_lines_of_a_turn_are_one_write(file, monkeypatch):
    writes = []
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: writes.append(data) or real(fd, data))
    for n in range(3):
        file.write(f"line {n}")
    assert file.dirty == [file]
    file.flush()
    file.flush()
    assert writes == [b"line 0\nline 1\nline 2\n"]
    assert file.path.read_text() == "line 0\nline 1\nline 2\n"


def test_it_is_opened_anew(file, tmp_path):
    file.write("old")
    file.path.rename(tmp_path / "moved")
    file.reopen()
    file.write("new")
    file.flush()
    assert (tmp_path / "moved").read_text() == "old\n"
    assert file.path.read_text() == "new\n"


def test_it_goes_on_in_the_old_file_where_it_cannot(file, tmp_path, caplog):
    file.path.rename(tmp_path / "moved")
    file.path.mkdir()
    file.reopen()
    file.write("on")
    file.flush()
    assert (tmp_path / "moved").read_text() == "on\n"
    assert "going on in the old file" in caplog.text


def test_a_full_disk_costs_lines_and_two_notices(file, monkeypatch, caplog):
    real, full = os.write, [True]

    def write(descriptor, data):
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    for n in range(10):
        file.write(f"lost {n}")
        file.flush()
    full.clear()
    file.write("kept")
    file.flush()
    assert file.path.read_text() == "kept\n"
    first, second = (record.getMessage() for record in caplog.records)
    assert "No space left on device; its lines are dropped" in first
    assert "written again; 10 lines were dropped" in second


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_really_full_device(caplog):
    made = LineFile("/dev/full", lambda each: None)
    made.write("x")
    made.flush()
    made.close()
    assert "cannot write /dev/full" in caplog.text


def test_a_short_write_is_gone_on_with(file, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:3]))
    file.write("a longer line")
    file.flush()
    assert file.path.read_text() == "a longer line\n"


@pytest.mark.parametrize("path", ["/nowhere/at/all", "/"])
def test_a_file_that_cannot_be_is_named(path):
    with pytest.raises(ConfigurationError, match=f"access_log_file {path}"):
        LineFile(path, lambda each: None)


def test_standard_output(capfd):
    made = LineFile("-", lambda each: None)
    made.write("x")
    made.close()
    assert capfd.readouterr().out == "x\n"
    os.fstat(1)
