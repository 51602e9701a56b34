"""socket.io-client on Node: the cases of node_cases.mjs over each transport, and servers that come back."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from clients import node_app, nodejs
from support.site import Site


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    nodejs.node()
    with Site(node_app.make()) as site:
        yield site


@pytest.mark.parametrize(("transport", "count"), [("websocket", 17), ("polling", 17), ("upgrade", 17)])
def test_cases(site, transport, count):
    results = nodejs.run("node_cases.mjs", site.url, transport)
    failures = {case: error for case, error in results.items() if error}
    assert not failures, "\n\n".join(f"{case}: {error}" for case, error in failures.items())
    assert len(results) == count


# Over polling a client that waits for packets is told by a close packet, one between two polls finds nobody.
@pytest.mark.parametrize(
    ("transport", "reasons"),
    [("websocket", {"transport close"}), ("polling", {"transport close", "transport error"})],
)
def test_a_client_comes_back_after_a_restart_on_the_same_port(transport, reasons):
    with ExitStack() as stack:
        with Site(node_app.make()) as site:
            client = stack.enter_context(nodejs.running("node_restart.mjs", site.url, transport))
            assert client.stdout.readline() == "connect 1\n"
        with Site(node_app.make(), port=site.port):
            told, reason = client.stdout.readline().strip().split(" ", 1)
            assert (told, reason) in {("disconnect", reason) for reason in reasons}
            assert client.stdout.readline() == "connect 2\n"
            assert client.stdout.read() == "disconnect io client disconnect\n"
            assert client.wait(15) == 0
