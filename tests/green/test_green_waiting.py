"""Waiting for descriptors: what is kept from wait to wait, and what becomes of it when something goes wrong."""

import asyncio
import errno
import os
import random
import signal
import time

import pytest

from greenwire import green
from greenwire.green import HubClosedError, select, socket
from greenwire.green import watch as watches
from support.turns import turns

LONG_S = 60.0
SOON_S = 0.01


def busy(seconds):
    """Keep the loop from running."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def in_green(fn, *args):
    return green.spawn(fn, *args).wait(LONG_S)


# --- the guess that a stream which gave less than asked for is empty


@pytest.mark.parametrize("seed", range(5))
def test_no_byte_is_lost_whatever_is_asked_for(pair, seed):
    one, two = pair
    chance = random.Random(seed)
    data = chance.randbytes(60_000)

    def send():
        at = 0
        while at < len(data):
            size = chance.choice((1, 7, 500, 4096))
            one.sendall(data[at : at + size])
            at += size
            if chance.random() < 0.5:
                green.sleep(0)
        one.shutdown(socket.SHUT_WR)

    def receive():
        got, buffer = bytearray(), bytearray(1000)
        while True:
            size = chance.choice((1, 10, 1000))
            if chance.random() < 0.5:
                peeked = two.recv(size, socket.MSG_PEEK)
                part = two.recv(size)
                assert part[: len(peeked)] == peeked
            else:
                part = bytes(buffer[: two.recv_into(buffer, size)])
            if not part:
                return bytes(got)
            got += part

    receiver = green.spawn(receive)
    sender = green.spawn(send)
    sender.wait(LONG_S)
    assert receiver.wait(LONG_S) == data
    assert in_green(two.recv, 10) == b""  # again and again


def test_a_reader_of_small_messages_waits_before_it_looks(pair):
    one, two = pair

    def read():
        seen = []
        for _ in range(3):
            seen.append(two.recv(100))
            assert two._reading is None or two._reading.quiet
        return seen

    reader = green.spawn(read)
    for word in (b"a", b"b", b"c"):
        turns()
        one.send(word)
    assert reader.wait(LONG_S) == [b"a", b"b", b"c"]


def test_what_comes_while_nobody_waits_is_there_at_once(pair, hub):
    one, two = pair

    def read():
        assert two.recv(100) == b"first"
        one.send(b"second")
        turns()  # the loop has seen it, and lets go of the descriptor
        assert not hub.watches
        two.setblocking(False)
        return two.recv(100)

    reader = green.spawn(read)
    turns()
    one.send(b"first")
    assert reader.wait(LONG_S) == b"second"


def test_to_ask_without_waiting_never_waits(pair):
    one, two = pair

    def read():
        assert two.recv(100) == b"x"
        with pytest.raises(BlockingIOError):
            two.recv(100, socket.MSG_DONTWAIT)
        two.setblocking(False)
        with pytest.raises(BlockingIOError):
            two.recv(100)
        return "done"

    reader = green.spawn(read)
    turns()
    one.send(b"x")
    assert reader.wait(LONG_S) == "done"
    with pytest.raises(BlockingIOError):
        one.sendall(bytes(50_000_000), socket.MSG_DONTWAIT)
    with pytest.raises(BlockingIOError):
        one.sendmsg([bytes(50_000_000)], [], socket.MSG_DONTWAIT)


def test_buffers_may_come_from_a_generator(pair):
    one, two = pair
    buffer = bytearray(10)
    reader = green.spawn(lambda: two.recvmsg_into(part for part in [buffer])[0])
    turns()
    assert one.sendmsg(word for word in (b"ab", b"cd")) == 4
    assert reader.wait(LONG_S) == 4
    assert buffer[:4] == b"abcd"


# --- timeouts


def test_each_wait_has_its_own_time(pair):
    one, two = pair
    two.settimeout(3 * SOON_S)

    def one_wait():
        """Whether something came; if not, its whole time has passed, also where the sender was late."""
        began = time.monotonic()
        try:
            return two.recv(10) == b"x"
        except TimeoutError:
            assert time.monotonic() - began > 2.9 * SOON_S
            return False

    def read():
        for _ in range(5):
            while not one_wait():
                pass
        return one_wait()

    def send():
        for _ in range(5):
            green.sleep(SOON_S)
            one.send(b"x")
            while select.select([two], [], [], 0)[0]:  # read before the next: one wait for each
                green.sleep(0)

    reader = green.spawn(read)
    in_green(send)
    assert reader.wait(LONG_S) is False


def test_a_shorter_time_ends_sooner_than_the_longer_before(pair):
    one, two = pair
    ended = green.Event()

    def read():
        two.settimeout(LONG_S)
        assert two.recv(10) == b"x"
        two.settimeout(SOON_S)
        with pytest.raises(TimeoutError):
            two.recv(10)
        ended.set()
        two.settimeout(None)
        return two.recv(10)

    reader = green.spawn(read)
    turns()
    one.send(b"x")
    assert ended.wait(LONG_S / 2)
    one.send(b"y")
    assert reader.wait(LONG_S) == b"y"


def test_what_came_in_time_is_no_timeout_where_the_loop_was_late(pair):
    one, two = pair
    two.settimeout(SOON_S)

    def send_and_be_late():
        one.send(b"x")
        busy(2 * SOON_S)

    reader = green.spawn(two.recv, 10)
    green.spawn(send_and_be_late)  # in the same turn: the reader waits, and no timer can have ended that
    assert reader.wait(LONG_S) == b"x"


def test_a_name_that_is_not_found_in_time(monkeypatch, pair):
    gate = green.Event()

    def never(*_):
        gate.wait()
        raise AssertionError("not reached")

    monkeypatch.setattr(socket, "getaddrinfo", never)
    with socket.socket() as sock:
        sock.settimeout(SOON_S)
        with pytest.raises(TimeoutError, match="timed out"):
            sock.connect(("slow.example", 80))
        assert sock.connect_ex(("slow.example", 80)) == errno.EAGAIN


# --- signals


@pytest.mark.parametrize("wait", [lambda pair: pair[0].recv(1), lambda pair: green.spawn(pair[0].recv, 1).wait()])
def test_what_the_handler_of_a_signal_raises_ends_the_wait(pair, wait, hub):
    hub.hear_signals()

    def handle(*_):
        raise LookupError("by the handler")

    def wait_with_alarm():
        signal.setitimer(signal.ITIMER_REAL, SOON_S)  # it may come before the wait
        wait(pair)

    old = signal.signal(signal.SIGALRM, handle)
    try:
        with pytest.raises(LookupError, match="by the handler"):
            wait_with_alarm()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    pair[1].send(b"x")
    turns()


# --- numbers that mean something else


def test_the_waiter_of_a_closed_socket_does_not_see_the_next_one_of_its_number(pair):
    one, _ = pair
    number = one.fileno()
    old = green.spawn(one.recv, 1)
    turns()
    one.close()
    other, end = socket.socketpair()
    with other, end:
        assert other.fileno() == number
        end.send(b"x")
        new = green.spawn(other.recv, 1)
        with pytest.raises(OSError, match="closed") as caught:
            old.wait(LONG_S)
        assert caught.value.errno == errno.EBADF
        assert new.wait(LONG_S) == b"x"


def test_two_sockets_of_one_number_do_not_take_each_others_place(pair):
    one, two = pair
    same = socket.socket(fileno=one.fileno())
    try:
        reader = green.spawn(one.recv, 1)
        turns()
        with pytest.raises(RuntimeError, match="two green threads"):
            in_green(same.recv, 1)
        two.send(b"x")
        assert reader.wait(LONG_S) == b"x"
        reader = green.spawn(same.recv, 1)
        turns()
        two.send(b"y")
        assert reader.wait(LONG_S) == b"y"
        reader = green.spawn(one.recv, 1)
        turns()
        two.send(b"z")
        assert reader.wait(LONG_S) == b"z"
    finally:
        same.detach()


# --- the end of the loop


def _epoll_wait(sock):
    with select.epoll() as epoll:
        epoll.register(sock, select.EPOLLIN)
        epoll.poll()


def _poll_wait(sock):
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    poll.poll()


WAITS = {
    "recv": lambda sock: sock.recv(1),
    "recvfrom": lambda sock: sock.recvfrom(1),
    "recvmsg": lambda sock: sock.recvmsg(1),
    "sendall": lambda sock: sock.sendall(bytes(50_000_000)),
    "makefile": lambda sock: sock.makefile("rb").readline(),
    "select": lambda sock: select.select([sock], [], []),
    "poll": _poll_wait,
    "epoll": _epoll_wait,
}


@pytest.mark.parametrize("name", WAITS)
@pytest.mark.parametrize("timeout", [None, LONG_S])
def test_the_loop_closed_under_one_who_waits(hub, pair, name, timeout):
    pair[0].settimeout(timeout)
    thread = green.spawn(WAITS[name], pair[0])
    turns()
    assert not thread.dead
    hub.aio.close()
    assert isinstance(thread.error, HubClosedError)


@pytest.mark.parametrize("name", WAITS)
def test_a_wait_that_is_killed_can_be_begun_again(pair, name, hub):
    for _ in range(3):
        thread = green.spawn(WAITS[name], pair[0])
        turns()
        thread.kill()
        with pytest.raises(green.GreenletExit):
            thread.wait(LONG_S)
    pair[0].close()
    assert not hub.watches


# --- what it costs


def test_a_descriptor_stays_with_the_loop_from_wait_to_wait(pair, hub, monkeypatch):
    armed = []
    arm = watches.Watch._arm
    monkeypatch.setattr(watches.Watch, "_arm", lambda self: armed.append(self.fd) or arm(self))
    one, two = pair

    def echo():
        while data := two.recv(100):
            two.sendall(data)

    thread = green.spawn(echo)

    def ask():
        for _ in range(50):
            one.sendall(b"x")
            assert one.recv(100) == b"x"
        one.close()

    in_green(ask)
    thread.wait(LONG_S)
    assert sorted(armed) == sorted(set(armed))  # each once
    assert not [number for number, _ in hub.watches if number == one.fileno()]


def test_unread_data_does_not_keep_the_loop_turning(pair, hub):
    one, two = pair
    with green.Timeout(SOON_S, False):
        one.recv(1)
    two.send(b"nobody reads this")
    turns()
    before = os.times()
    green.sleep(20 * SOON_S)
    after = os.times()
    assert after.user + after.system - before.user - before.system < 10 * SOON_S
    if isinstance(hub.aio, asyncio.SelectorEventLoop):
        assert one.fileno() not in hub.aio._selector.get_map()


def test_a_thousand_timeouts_are_one_timer(pair):
    one, two = pair
    two.settimeout(LONG_S)
    timers = set()

    def read():
        for _ in range(1000):
            two.recv(10)
            timers.add(two._reading._timer)

    reader = green.spawn(read)

    def write():
        for _ in range(1000):
            one.send(b"x")
            turns(2)

    in_green(write)
    reader.wait(LONG_S)
    assert len(timers) == 1
