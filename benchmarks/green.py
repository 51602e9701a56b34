"""Green threads against their peers: what starting one, a switch, and a TCP echo cost.

    python benchmarks/run.py --install     # once: the peers, into benchmarks/.peers
    python benchmarks/green.py             # some 30 s; PEERS=greenwire,gevent for some of them

Each package in a process of its own on the first core; the clients of the echo on the last. All figures are
CPU time in µs, of the echo that of the server for each round trip: lower is better. The packages take turns, so
that whatever else the machine does falls on all of them.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from peers import HERE, SOURCE, VENV
from process import usage

PROGRAM = HERE / "servers" / "green_peer.py"
THEIRS = str(VENV / "bin" / "python")
PYTHONS = {"greenwire": sys.executable, "gevent": THEIRS, "eventlet": THEIRS}
REFERENCE = "greenwire"
SERVER_CORE, CLIENT_CORE = min(os.sched_getaffinity(0)), max(os.sched_getaffinity(0))
CONNECTIONS = 50
# Bytes of a message, and the timeout of the server's sockets.
ECHOES: dict[str, tuple[int, str | None]] = {
    "echo of 1 B": (1, None),
    "echo of 1 KiB": (1024, None),
    "echo of 64 KiB": (65_536, None),
    "echo of 1 B, with a timeout": (1, "30"),
}
WARMUP_S = 0.2
WINDOW_S = 0.8
REPEAT = 2  # of each the best: what else the machine does only adds
LIMIT_S = 60.0
Table = dict[str, dict[str, float]]


@contextmanager
def running(package: str, *job: str) -> Iterator[subprocess.Popen[str]]:
    """The program under test, on the first core; ended behind the block."""
    process = subprocess.Popen(
        [PYTHONS[package], str(PROGRAM), package, *job],
        env={**os.environ, "PYTHONPATH": str(SOURCE)} if package == REFERENCE else None,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {SERVER_CORE}),
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def is_installed(package: str) -> bool:
    """Whether it can run here."""
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [PYTHONS[package], "-W", "ignore", "-c", f"import {package}"]
    try:
        return subprocess.run(command, env=env, capture_output=True, timeout=LIMIT_S).returncode == 0
    except FileNotFoundError:
        return False


def costs_of(package: str) -> dict[str, float]:
    """What the program measures by itself."""
    with running(package, "costs") as process:
        out, _ = process.communicate(timeout=LIMIT_S)
    found: dict[str, float] = json.loads(out)
    return found


def echo_us(package: str, size: int, timeout: str | None) -> float:
    """CPU time of the server for one round trip."""
    job = ("echo",) if timeout is None else ("echo", timeout)
    with ExitStack() as stack, running(package, *job) as process:  # the server ends before its clients
        assert process.stdout is not None
        port = int(process.stdout.readline().split()[1])
        clients = _Clients(stack, port, size)
        clients.talk(WARMUP_S)
        before = usage(process.pid).cpu_s
        trips = clients.talk(WINDOW_S)
        return (usage(process.pid).cpu_s - before) / trips * 1e6


class _Clients:
    """Connections that each have one message on its way."""

    def __init__(self, stack: ExitStack, port: int, size: int) -> None:
        self._message = bytes(size)
        self._missing: dict[int, int] = {}
        self._sockets: dict[int, socket.socket] = {}
        self._epoll = stack.enter_context(select.epoll())
        for _ in range(CONNECTIONS):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets[sock.fileno()] = sock
            self._epoll.register(sock, select.EPOLLIN)
            self._send(sock.fileno())

    def _send(self, fd: int) -> None:
        self._missing[fd] = len(self._message)
        self._sockets[fd].sendall(self._message)

    def talk(self, seconds: float) -> int:
        """How many messages came back."""
        trips = 0
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            for fd, _ in self._epoll.poll(LIMIT_S):
                self._missing[fd] -= len(self._sockets[fd].recv(65_536))
                if not self._missing[fd]:
                    trips += 1
                    self._send(fd)
        return trips


def measure(packages: list[str]) -> Table:
    """Row to package to µs."""
    table: Table = {}

    def note(row: str, package: str, value: float) -> None:
        values = table.setdefault(row, {})
        values[package] = min(value, values.get(package, value))

    for _ in range(REPEAT):
        for package in packages:
            for row, value in costs_of(package).items():
                note(row, package, value)
        for row, (size, timeout) in ECHOES.items():
            for package in packages:
                note(row, package, echo_us(package, size, timeout))
    return table


def printed(table: Table, packages: list[str]) -> str:
    """The table, and how many times what Greenwire takes the others take."""
    peers = [package for package in packages if package != REFERENCE and REFERENCE in packages]
    head = ["µs", *packages, *(f"{peer} / {REFERENCE}" for peer in peers)]
    lines = [head, ["---"] * len(head)]
    for row, values in table.items():
        ratios = [f"{values[peer] / values[REFERENCE]:.2f}" for peer in peers]
        lines.append([row, *(f"{values[package]:.2f}" for package in packages), *ratios])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    """Measure and print."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # so that what runs is ended too
    wanted = [name for name in os.environ.get("PEERS", "").split(",") if name] or list(PYTHONS)
    if unknown := set(wanted) - set(PYTHONS):
        sys.exit(f"PEERS: no such name: {', '.join(sorted(unknown))}. There are: {', '.join(PYTHONS)}.")
    packages = [name for name in wanted if is_installed(name)]
    for name in set(wanted) - set(packages):
        print(f"{name} is not installed and is left out (see run.py --install).", file=sys.stderr)
    os.sched_setaffinity(0, {CLIENT_CORE})
    print(printed(measure(packages), packages))


if __name__ == "__main__":
    main()
