"""The access log's lines."""

import logging
import re

from greenwire.http.log import combined, common, line_of
from greenwire.http.request import Request


def request_of(*headers, target="/a", peer=("192.0.2.1", 1234)):
    return Request("GET", target, "/a", "", "1.1", list(headers), peer, ("192.0.2.2", 80), "http")


def test_common(caplog):
    with caplog.at_level(logging.INFO, "greenwire.access"):
        common(request_of(), 200, 5, 0.25)
    pattern = r'192\.0\.2\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET /a HTTP/1\.1" 200 5'
    assert re.fullmatch(pattern, caplog.records[0].getMessage())


def test_combined(caplog):
    with caplog.at_level(logging.INFO, "greenwire.access"):
        combined(request_of(("referer", "http://b/"), ("user-agent", "curl")), 404, 0, 0.25)
        combined(request_of(), 404, 0, 0.25)
    assert caplog.records[0].getMessage().endswith('"GET /a HTTP/1.1" 404 - "http://b/" "curl" 0.250000')
    assert caplog.records[1].getMessage().endswith('404 - "-" "-" 0.250000')


def test_nothing_can_be_forged(caplog):
    with caplog.at_level(logging.INFO, "greenwire.access"):
        combined(request_of(("user-agent", 'x" 200 1\r\n\x1b[31m\\\xe9'), target='/"'), 200, 1, 0.0)
    message = caplog.records[0].getMessage()
    assert '"GET /\\x22 HTTP/1.1"' in message
    assert '"x\\x22 200 1\\x0d\\x0a\\x1b[31m\\x5c\\xe9"' in message


def test_a_unix_client_has_no_address():
    assert line_of(request_of(peer=""), 200, 1, 0.0).startswith("- - - [")
