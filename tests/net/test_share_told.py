"""What the other workers are told of how many connections this one has."""

import socket
import sys

from greenwire.net.proxy_protocol import Header
from greenwire.net.share import Share, new_memory


def hello(exchange):
    exchange.respond(200, [], b"hello")


def test_connections_count_however_they_came(serve):
    memory = new_memory()
    site = serve(handle=hello, share=Share(memory, 0))

    def told():
        return int.from_bytes(memory[:4], sys.byteorder) - 1

    assert told() == 0
    client = site.connect()
    assert client.get().status == 200
    assert told() == 1
    ours, theirs = socket.socketpair()
    ours.settimeout(10)
    theirs.setblocking(False)
    header = Header(0, ("192.0.2.1", 4711), ("127.0.0.1", site.port))
    site.loop.ask(site.server.adopt, theirs, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", header, "http")
    assert ours.recv(1000).split()[1] == b"200"
    assert told() == 2
    ours.close()
    site.wait_until(lambda: told() == 1)
