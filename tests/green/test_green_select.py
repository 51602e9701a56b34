"""``greenwire.green.select`` and ``selectors``."""

import asyncio
import fcntl
import os
import resource
import select as real
import socket as real_socket

import pytest

from greenwire import green
from greenwire.green import select, selectors, socket
from support.turns import turns

LONG_S = 60.0
SOON_S = 0.002
SELECTORS = [selectors.SelectSelector, selectors.PollSelector, selectors.DefaultSelector]


@pytest.fixture
def pair():
    one, two = real_socket.socketpair()
    with one, two:
        yield one, two


def test_they_have_every_name():
    for name in dir(real):
        assert hasattr(select, name), name
    assert issubclass(selectors.EpollSelector, selectors.BaseSelector)


def test_select_waits_and_lets_others_run(pair):
    one, two = pair
    thread = green.spawn(select.select, [one], [], [one])
    turns()
    assert not thread.dead
    two.send(b"x")
    assert thread.wait(LONG_S) == ([one], [], [])
    assert select.select([one, two], [one, two.fileno()], []) == ([one], [one, two.fileno()], [])
    two.close()
    one.recv(1)
    assert select.select([one], [], [], LONG_S) == ([one], [], [])


def test_select_has_timeouts_and_the_errors_of_the_real_one(pair):
    one, _ = pair
    assert select.select([one], [], [], 0) == ([], [], [])
    assert select.select([one], [], [], SOON_S) == ([], [], [])
    assert select.select([], [], [], SOON_S) == ([], [], [])
    with pytest.raises(ValueError, match="non-negative"):
        select.select([], [], [], -1)
    with pytest.raises(ValueError, match="negative"):
        select.select([-1], [], [])
    gone = os.dup(one.fileno())
    os.close(gone)
    with pytest.raises(OSError, match="Bad file"):
        select.select([gone], [], [])
    for wrong in (([["x"], [], []]), ([[], [], [], "x"]), ([1, [], []]), ([[], [], [], float("nan")])):
        with pytest.raises((TypeError, ValueError)) as ours:
            select.select(*wrong)
        with pytest.raises((TypeError, ValueError)) as theirs:
            real.select(*wrong)
        assert str(ours.value) == str(theirs.value)


def test_a_file_on_disk_is_always_ready(tmp_path):
    with (tmp_path / "file").open("wb") as file:
        assert select.select([file], [file], []) == ([file], [file], [])


def test_two_may_wait_for_one_descriptor_here():
    one, two = socket.socketpair()
    with one, two:
        threads = [green.spawn(select.select, [one], [], []) for _ in range(2)]
        reader = green.spawn(one.recv, 1, socket.MSG_PEEK)
        turns()
        two.send(b"x")
        assert [thread.wait(LONG_S)[0] for thread in threads] == [[one], [one]]
        assert reader.wait(LONG_S) == b"x"


def test_polling_again_and_again_lets_others_run(pair):
    thread = green.spawn(green.sleep, 0)
    turned = 0
    while not thread.dead:
        select.select([pair[0]], [], [], 0)
        turned += 1
        assert turned < 10


@pytest.mark.parametrize("kill", [True, False])
def test_a_select_that_is_ended_leaves_nothing(pair, hub, kill):
    thread = green.spawn(select.select, [pair[0]], [], [], None if kill else SOON_S)
    turns()
    if kill:
        thread.kill()
    assert thread.join(LONG_S)
    assert not hub.watches


def test_poll(pair):
    one, two = pair
    poll = select.poll()
    poll.register(one, select.POLLIN)
    assert poll.poll(0) == []
    assert poll.poll(1) == []
    thread = green.spawn(poll.poll)
    turns()
    two.send(b"x")
    assert thread.wait(LONG_S) == [(one.fileno(), select.POLLIN)]
    poll.modify(one, select.POLLOUT)
    assert poll.poll(-1) == [(one.fileno(), select.POLLOUT)]
    poll.unregister(one)
    with pytest.raises(KeyError):
        poll.unregister(one)


@pytest.mark.skipif(not hasattr(real, "epoll"), reason="the system has no epoll")
def test_epoll(pair):
    one, two = pair
    with select.epoll() as epoll:
        epoll.register(one, select.EPOLLIN)
        assert epoll.poll(SOON_S) == []
        thread = green.spawn(epoll.poll, maxevents=1)
        turns()
        two.send(b"x")
        assert thread.wait(LONG_S) == [(one.fileno(), select.EPOLLIN)]
        again = select.epoll.fromfd(os.dup(epoll.fileno()))
        assert again.poll() == [(one.fileno(), select.EPOLLIN)]
        again.close()
    assert epoll.closed


@pytest.mark.parametrize("kind", SELECTORS)
def test_selectors(pair, kind):
    one, two = pair
    with kind() as selector:
        selector.register(one, selectors.EVENT_READ, "data")
        assert selector.select(0) == []
        assert selector.select(SOON_S) == []
        thread = green.spawn(selector.select)
        turns()
        assert not thread.dead
        two.send(b"x")
        ((key, events),) = thread.wait(LONG_S)
        assert (key.fileobj, key.data, events) == (one, "data", selectors.EVENT_READ)
        selector.modify(one, selectors.EVENT_WRITE)
        assert selector.select()[0][1] == selectors.EVENT_WRITE
        selector.unregister(one)
        assert not selector.get_map()


# --- event loops over our selectors


@pytest.mark.parametrize("kind", [selectors.SelectSelector, selectors.PollSelector, selectors.EpollSelector])
def test_an_event_loop_may_have_a_green_selector(pair, kind):
    loop = asyncio.SelectorEventLoop(kind())
    try:
        assert loop.run_until_complete(asyncio.sleep(0.001, "slept")) == "slept"
        arrived = loop.create_future()
        loop.add_reader(pair[0], lambda: arrived.done() or arrived.set_result(pair[0].recv(1)))
        loop.call_later(SOON_S, pair[1].send, b"x")
        assert loop.run_until_complete(arrived) == b"x"
    finally:
        loop.close()


@pytest.mark.parametrize("kind", [selectors.SelectSelector, selectors.PollSelector, selectors.EpollSelector])
def test_green_threads_go_on_beside_such_a_loop(kind):
    one, two = socket.socketpair()

    def echo():
        while data := two.recv(100):
            two.sendall(data.upper())
        return "end"

    async def ask():
        reader, writer = await asyncio.open_connection(sock=one)
        writer.write(b"word")
        answer = await reader.read(100)
        writer.close()
        await writer.wait_closed()
        return answer

    with two:
        thread = green.spawn(echo)
        loop = asyncio.SelectorEventLoop(kind())
        try:
            assert loop.run_until_complete(ask()) == b"WORD"
        finally:
            loop.close()
        assert thread.wait(LONG_S) == "end"


def test_one_poll_object_is_asked_by_one_at_a_time(pair):
    poll = select.poll()
    poll.register(pair[0], select.POLLIN)
    first = green.spawn(poll.poll)
    turns()
    with pytest.raises(RuntimeError, match="concurrent"):
        poll.poll()
    pair[1].send(b"x")
    assert first.wait(LONG_S)
    assert poll.poll(0)
    with pytest.raises(TypeError, match="cannot create"):
        type(poll)()


def test_select_has_no_largest_descriptor(pair):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1200:
        pytest.skip("the system allows no descriptor of such a number")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1200), hard))
    try:
        high = fcntl.fcntl(pair[0].fileno(), fcntl.F_DUPFD_CLOEXEC, 1100)
        try:
            assert select.select([], [high], [], LONG_S) == ([], [high], [])
            thread = green.spawn(select.select, [high], [], [])
            turns()
            pair[1].send(b"x")
            assert thread.wait(LONG_S) == ([high], [], [])
        finally:
            os.close(high)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
