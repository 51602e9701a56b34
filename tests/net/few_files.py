"""A server that may open 40 files, for test_server.py. Argument: the kind of loop. Ends with its standard input."""

import asyncio
import logging
import resource
import sys
import threading

from greenwire.http.connection import HTTPConnection
from greenwire.limits import Limits
from greenwire.loop import Loop, new_event_loop
from greenwire.net.listen import listen
from greenwire.net.server import Server
from greenwire.quiet import QuietLog

logging.basicConfig(stream=sys.stderr, format="%(message)s")
loop = Loop(asyncio.new_event_loop() if sys.argv[1] == "asyncio" else new_event_loop())
limits = Limits(accept_pause_s=0.05)
quiet = QuietLog(logging.getLogger("greenwire"), loop.now)


def handle(exchange):
    exchange.respond(200, [], b"ok")


def make():
    return HTTPConnection(loop, limits, handle, server, quiet)


def stop():
    sys.stdin.read()
    loop.aio.call_soon_threadsafe(loop.aio.stop)


sockets = listen("127.0.0.1", 0, backlog=100)
server = Server(loop, sockets, make, limits, quiet)
server.start()
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
print(sockets[0].getsockname()[1], flush=True)
threading.Thread(target=stop).start()
loop.aio.run_forever()
server.abort()
