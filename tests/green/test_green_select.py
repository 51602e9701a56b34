"""``greenwire.green.select`` and ``selectors``."""

import os
import select as real
import socket as real_socket

import pytest

from greenwire import green
from greenwire.green import select, selectors, socket

LONG_S = 60.0
SOON_S = 0.002
SELECTORS = [selectors.SelectSelector, selectors.PollSelector, selectors.DefaultSelector]


@pytest.fixture
def pair():
    one, two = real_socket.socketpair()
    with one, two:
        yield one, two


def turns():
    for _ in range(3):
        green.sleep(0)


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
    with pytest.raises(AttributeError):
        select.select(["x"], [], [])


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
