"""What the Python peers have in common: ``--port``, the socket, and the line that says where it listens."""

from __future__ import annotations

import argparse
import socket

BACKLOG = 4096


def port_argument() -> int:
    """The port asked for; 0 asks the system for a free one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    return int(parser.parse_args().port)


def announce(port: int) -> None:
    """Tell the runner where this server listens."""
    print(f"LISTENING {port}", flush=True)


def listening_socket() -> socket.socket:
    """A socket that listens on the port asked for, announced."""
    sock = socket.create_server(("127.0.0.1", port_argument()), backlog=BACKLOG)
    announce(sock.getsockname()[1])
    return sock
