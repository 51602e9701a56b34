"""What the Python servers have in common: their options, the socket, and the line that says where it listens."""

from __future__ import annotations

import argparse
import os
import socket
import ssl

BACKLOG = 4096


def arguments(*extra: str) -> argparse.Namespace:
    """The options of every server; the names in ``extra`` are options of this one, each with a value."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)  # 0 asks the system for a free one
    parser.add_argument("--namespaces", type=int, default=0)  # that also echo: /n0, /n1, ...
    parser.add_argument("--certificate", help="makes it https; the key is in the same file")
    for name in extra:
        parser.add_argument(f"--{name}")
    return parser.parse_args()


def announce(port: int) -> None:
    """Tell the runner where this server listens."""
    print(f"LISTENING {port}", flush=True)


def listening_socket(port: int) -> socket.socket:
    """A socket that listens, announced."""
    sock = socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
    announce(sock.getsockname()[1])
    return sock


def tls_context(certificate: str) -> ssl.SSLContext:
    """For servers that take a context."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def static_folder() -> str:
    """Where the runner has put the file that is served."""
    return os.environ.get("BENCH_STATIC", os.curdir)
