"""Very many handlers that wait at once, in green threads."""

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.engine import Client
from support.process import Process

CLIENTS, EACH = 250, 80
APP = Path(__file__).with_name("waiting_app.py")


def memory_mb(pid: int) -> float:
    """What the process holds in memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")


@pytest.mark.slow
def test_twenty_thousand_waiting_handlers_and_the_others_unharmed():
    with ExitStack() as stack:
        server = stack.enter_context(Process(APP))
        clients = [stack.enter_context(Client(server.port)) for _ in range(CLIENTS)]
        for client in clients:
            client.join()
        before = memory_mb(server.popen.pid)
        for client in clients:
            for number in range(EACH):
                client.emit("ask", number, ack=number)
        asked = [[client.packet() for _ in range(EACH)] for client in clients]  # 42<ack id>["question",n]

        waiting = memory_mb(server.popen.pid) - before
        bystander = stack.enter_context(Client(server.port))
        bystander.join()
        assert bystander.call("echo", "hello") == ["hello"]
        assert waiting < 200, f"{CLIENTS * EACH} waiting handlers take {waiting:.0f} MB"

        for client, questions in zip(clients, asked, strict=True):
            for question in questions:
                ack_id, _, rest = question[2:].partition("[")
                client.send_text(f"43{ack_id}[{json.loads('[' + rest)[1] * 2}]")
        for client in clients:
            answers = sorted(client.packet() for _ in range(EACH))
            assert answers == sorted(f"43{number}[{number * 2}]" for number in range(EACH))
