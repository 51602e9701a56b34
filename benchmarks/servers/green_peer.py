"""Green threads of one package: the small costs, measured here, or a TCP echo server to be measured from outside.

green_peer.py PACKAGE costs          prints a JSON object: name to µs
green_peer.py PACKAGE echo [TIMEOUT] serves until it is ended; each ``recv`` has that timeout
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

warnings.simplefilter("ignore")
PACKAGE, JOB = sys.argv[1:3]

if PACKAGE == "greenwire":
    from greenwire.green import Semaphore, sleep, socket, spawn

    def result_of(thread: Any) -> Any:
        return thread.wait()
elif PACKAGE == "gevent":
    from gevent import sleep, socket, spawn
    from gevent.lock import Semaphore

    def result_of(thread: Any) -> Any:
        return thread.get()
else:
    from eventlet import sleep, spawn
    from eventlet.green import socket
    from eventlet.semaphore import Semaphore

    def result_of(thread: Any) -> Any:
        return thread.wait()


ROUNDS = 3  # of each the best: what else the machine does only adds
STARTS = 2_000
SWITCHES = 6_000
BATCH = 100
RECV_BYTES = 65_536


def nothing() -> None:
    """What is started."""


def start_batches() -> int:
    for _ in range(STARTS // BATCH):
        for _ in range(BATCH):
            spawn(nothing)
        sleep(0)
    return STARTS


def start_and_wait() -> int:
    for _ in range(STARTS):
        result_of(spawn(nothing))
    return STARTS


def take_turns(threads: int) -> int:
    def turns() -> None:
        for _ in range(SWITCHES // threads):
            sleep(0)

    for thread in [spawn(turns) for _ in range(threads)]:
        result_of(thread)
    return SWITCHES


def play_ping_pong() -> int:
    one, two = Semaphore(0), Semaphore(0)

    def player(mine: Any, other: Any) -> None:
        for _ in range(SWITCHES // 2):
            mine.acquire()
            other.release()

    players = [spawn(player, one, two), spawn(player, two, one)]
    one.release()
    for thread in players:
        result_of(thread)
    return SWITCHES


COSTS: dict[str, Callable[[], int]] = {
    "spawn": start_batches,
    "spawn and wait": start_and_wait,
    "switch, by semaphores": play_ping_pong,
    "sleep(0), of 2": lambda: take_turns(2),
    "sleep(0), of 100": lambda: take_turns(100),
}


def best_us(work: Callable[[], int]) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        count = work()
        best = min(best, (time.process_time() - began) / count * 1e6)
    return best


def measure_costs() -> None:
    print(json.dumps({name: best_us(work) for name, work in COSTS.items()}))


def echo(connection: Any, timeout: float | None) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.settimeout(timeout)
    while data := connection.recv(RECV_BYTES):
        connection.sendall(data)
    connection.close()


def serve() -> None:
    timeout = float(sys.argv[3]) if len(sys.argv) > 3 else None
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    print(f"LISTENING {listener.getsockname()[1]}", flush=True)
    while True:
        connection, _ = listener.accept()
        spawn(echo, connection, timeout)


if __name__ == "__main__":
    result_of(spawn({"costs": measure_costs, "echo": serve}[JOB]))
