import asyncio

import pytest
import uvloop
from wsnet import Net


@pytest.fixture(params=["asyncio", "uvloop"])
def net(request):
    """Connections on a loop of either kind."""
    aio = uvloop.new_event_loop() if request.param == "uvloop" else asyncio.new_event_loop()
    made = Net(aio)
    yield made
    made.loop.close()


@pytest.fixture(scope="module")
def quick():
    """A loop for what needs no network."""
    made = Net(asyncio.new_event_loop())
    yield made
    made.loop.close()
