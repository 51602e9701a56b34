"""A hub of this thread's own for each test, on both loops; afterwards no descriptor more is open than before."""

import asyncio
import gc
import os
import sys

import pytest
import uvloop

from greenwire.green import hub as hubs
from greenwire.green import socket

_FDS = "/proc/self/fd"


def open_descriptors():
    return set(os.listdir(_FDS)) if sys.platform == "linux" else set()


@pytest.fixture(scope="session", autouse=True)
def _descriptors_of_the_process():
    """The first loop of each kind opens some that stay."""
    for make in (uvloop.new_event_loop, asyncio.new_event_loop):
        loop = make()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
    gc.collect()
    gc.freeze()  # what lives now need not be looked through twice for each test
    yield
    gc.unfreeze()


@pytest.fixture(params=["uvloop", "asyncio"], autouse=True)
def hub(request):
    gc.collect()
    before = len(open_descriptors())
    old = hubs._own.hub
    make = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
    hub = hubs._own.hub = hubs.hub_of(make())
    complaints = []
    hub.aio.set_exception_handler(lambda _, context: complaints.append(context))
    yield hub
    hubs._own.hub = old
    if not hub.closed:
        hub.aio.close()
    assert hub.waiting == 0
    assert not hub.workers
    assert complaints == []
    del hub
    gc.collect()
    assert len(open_descriptors()) <= before


@pytest.fixture
def pair():
    one, two = socket.socketpair()
    with one, two:
        yield one, two
