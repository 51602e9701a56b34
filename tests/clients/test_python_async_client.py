"""python-socketio's AsyncClient, over both transports and an upgrade between them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import socketio

from clients import python_app
from support.heard import AsyncHeardClient
from support.site import Site
from support.waiting import TIMEOUT_S, Log

TRANSPORTS = {"websocket": ["websocket"], "polling": ["polling"], "upgrade": ["polling", "websocket"]}
Story = Callable[[socketio.AsyncClient], Awaitable[None]]


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Site, Log]]:
    app, notes = python_app.make()
    with Site(app) as site:
        yield site, notes


@pytest.fixture
def served(running: tuple[Site, Log]) -> Iterator[tuple[Site, Log]]:
    """The site, without clients, and its notes of this test only."""
    yield running
    running[0].close_all()
    running[1].clear()


@pytest.fixture(params=TRANSPORTS)
def play(request, served) -> Callable[..., None]:
    """Runs a story with a connected client."""

    async def whole(story: Story, options: dict[str, Any]) -> None:
        client = AsyncHeardClient(reconnection=False, handle_sigint=False)
        try:
            await client.connect(served[0].url, transports=TRANSPORTS[request.param], wait_timeout=10, **options)
            await story(client)
        finally:
            await client.disconnect()
            if client.eio.http is not None:
                await client.eio.http.close()

    return lambda story, **options: asyncio.run(asyncio.wait_for(whole(story, options), TIMEOUT_S))


def test_emit_call_and_acknowledgements(play):
    async def story(client):
        echoed = asyncio.Queue()
        client.on("echo", lambda *args: echoed.put_nowait(args))
        assert await client.call("echo", ("x", {"y": [1, None]})) == ("x", {"y": [1, None]})
        assert await echoed.get() == ("x", {"y": [1, None]})
        answered = asyncio.Queue()
        await client.emit("echo", 1, callback=lambda *args: answered.put_nowait(args))
        assert await answered.get() == (1,)

    play(story)


def test_binary_both_ways(play):
    async def story(client):
        data = {"blob": bytes(range(256)), "list": [b"", b"\x1e"]}
        assert await client.call("echo", data) == data

    play(story)


def test_the_server_asks_and_waits(play):
    async def story(client):
        async def question(value):
            return value * 2

        client.on("question", question)
        assert await client.call("ask", 21) == ["the client said", 42]

    play(story)


def test_auth_and_namespaces(play, served):
    async def story(client):
        assert await client.call("echo", 1, namespace="/other") == {"other": 1}
        assert ("connect", {"user": "ada"}) in served[1]

    play(story, auth={"user": "ada"}, namespaces=["/", "/other"])


def test_a_refusal(play):
    async def story(client):
        raise AssertionError("it was let in")

    with pytest.raises(socketio.exceptions.ConnectionError, match="failed to connect"):
        play(story, auth={"token": "bad"})


def test_the_server_disconnects(play, served):
    async def story(client):
        gone = asyncio.Queue()
        client.on("disconnect", lambda reason: gone.put_nowait(reason))
        await client.emit("leave me")
        assert await gone.get() == client.reason.SERVER_DISCONNECT

    play(story)
    served[1].wait_for_item(("disconnect", "server disconnect", True))


def test_a_client_disconnects(play, served):
    async def story(client):
        await client.call("echo")

    play(story)
    assert list(served[1].wait_for(2)) == [("connect", None), ("disconnect", "client disconnect", True)]
