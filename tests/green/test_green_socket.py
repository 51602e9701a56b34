"""``greenwire.green.socket``: the module socket, for green threads."""

import errno
import gc
import io
import os
import socket as real
import threading
from contextlib import nullcontext

import pytest

from greenwire import green
from greenwire.errors import ContextError
from greenwire.green import socket
from support.turns import turns

LONG_S = 60.0
SOON_S = 0.002


def test_it_has_every_name_of_socket():
    for name in [*real.__all__, "error", "timeout", "gaierror", "SOMAXCONN", "EBADF"]:
        assert hasattr(socket, name), name
    assert issubclass(socket.socket, real.socket)
    assert socket.SocketType is real.SocketType
    assert socket.timeout is TimeoutError


def test_every_blocking_method_lets_others_run(pair):
    one, two = pair
    buffer = bytearray(10)
    for receive, expected in (
        (lambda: two.recv(5), b"hello"),
        (lambda: two.recv_into(buffer, 5), 5),
        (lambda: two.recvfrom(5)[0], b"hello"),
        (lambda: two.recvfrom_into(buffer)[0], 5),
        (lambda: two.recvmsg(5)[0], b"hello"),
        (lambda: two.recvmsg_into([buffer])[0], 5),
    ):
        thread = green.spawn(receive)
        turns()
        assert not thread.dead
        one.send(b"hello")
        assert thread.wait(LONG_S) == expected


def test_every_sending_method_waits_for_a_slow_reader(pair, tmp_path):
    one, two = pair
    size = 3_000_000
    path = tmp_path / "file"
    path.write_bytes(bytes(size))

    def read(total):
        while total > 0:
            green.sleep(0)
            total -= len(two.recv(500_000))
        return total

    def send_file():
        with path.open("rb") as file:
            assert one.sendfile(file) == size
            assert file.tell() == size

    def send_part_of_file():
        with path.open("rb") as file:
            assert one.sendfile(file, 10, size - 10) == size - 10
            assert one.sendfile(io.BytesIO(bytes(10))) == 10

    def send_pieces():
        left = size
        while left:
            left -= one.sendmsg([bytes(min(left, 100_000))])

    for send in (lambda: one.sendall(bytes(size)), send_file, send_part_of_file, send_pieces):
        thread = green.spawn(send)
        turns()
        assert not thread.dead
        assert read(size) == 0
        thread.wait(LONG_S)


def test_tcp_with_names_and_files():
    listener = socket.create_server(("127.0.0.1", 0), backlog=5)
    port = listener.getsockname()[1]

    def serve():
        connection, address = listener.accept()
        assert isinstance(connection, socket.socket)
        with connection, connection.makefile("rwb") as file:
            for line in file:
                file.write(line.upper())
                file.flush()
        return address

    thread = green.spawn(serve)
    with listener, socket.create_connection(("localhost", port), timeout=LONG_S) as client:
        with client.makefile("rw", encoding="ascii", newline="\n") as file:
            file.write("one\n")
            file.flush()
            assert file.readline() == "ONE\n"
        address = client.getsockname()
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
        assert thread.wait(LONG_S) == address


def test_udp_and_unix_sockets(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as two:
        one.bind(("localhost", 0))
        thread = green.spawn(one.recvfrom, 100)
        turns()
        two.sendto(b"datagram", ("localhost", one.getsockname()[1]))
        assert thread.wait(LONG_S)[0] == b"datagram"
    path = str(tmp_path / "socket")
    with green.listen(path, socket.AF_UNIX, backlog=1) as listener:
        clients = [green.spawn(green.connect, path, socket.AF_UNIX) for _ in range(5)]  # more than the backlog
        for _ in clients:
            listener.accept()[0].close()
        for client in clients:
            client.wait(LONG_S).close()


# --- timeouts


def test_timeouts_are_those_of_socket(pair):
    one, _ = pair
    assert one.gettimeout() is None
    one.settimeout(SOON_S)
    assert (one.gettimeout(), one.timeout, one.getblocking()) == (SOON_S, SOON_S, True)
    with pytest.raises(TimeoutError, match="timed out"):
        one.recv(1)
    with pytest.raises(TimeoutError):
        one.sendall(bytes(50_000_000))
    one.setblocking(False)
    with pytest.raises(BlockingIOError):
        one.recv(1)
    with pytest.raises(BlockingIOError):
        one.sendall(bytes(50_000_000))
    with pytest.raises(ValueError, match="out of range"):
        one.settimeout(-1)
    one.setblocking(True)
    assert one.gettimeout() is None


def test_the_default_timeout_counts(pair):
    socket.setdefaulttimeout(SOON_S)
    try:
        with socket.socket() as sock, green.listen(("127.0.0.1", 0)) as listener:
            assert sock.gettimeout() == SOON_S
            with pytest.raises(TimeoutError):
                listener.accept()
    finally:
        socket.setdefaulttimeout(None)
    assert pair[0].gettimeout() is None


def test_connect_reports_what_went_wrong():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
        with pytest.raises(ConnectionRefusedError), socket.socket() as sock:
            sock.connect(address)
        with socket.socket() as sock:
            assert sock.connect_ex(address) == errno.ECONNREFUSED
        with pytest.raises(ConnectionRefusedError):
            green.connect(address, bind=("127.0.0.1", 0))
    with pytest.raises(socket.gaierror), socket.socket() as sock:
        sock.connect(("no-such-name.invalid", 1))


# --- close


def test_close_wakes_those_who_wait(pair):
    one, _ = pair
    reader, writer = green.spawn(one.recv, 1), green.spawn(one.sendall, bytes(50_000_000))
    turns()
    one.close()
    for thread in (reader, writer):
        with pytest.raises(OSError, match="closed") as caught:
            thread.wait(LONG_S)
        assert caught.value.errno == errno.EBADF
    with pytest.raises(OSError, match="Bad file"):
        one.recv(1)


def test_close_from_another_thread_wakes_those_who_wait(pair):
    one, _ = pair
    reader = green.spawn(one.recv, 1)
    turns()
    thread = threading.Thread(target=one.close)
    thread.start()
    with pytest.raises(OSError, match="closed"):
        reader.wait(LONG_S)
    thread.join()


def test_a_file_keeps_the_socket_open(pair):
    one, two = pair
    file = one.makefile("rb")
    reader = green.spawn(file.read, 1)
    turns()
    one.close()
    two.send(b"x")
    assert reader.wait(LONG_S) == b"x"
    file.close()
    assert one.fileno() == -1


def test_a_number_used_again_is_a_new_descriptor(hub):
    """Closed, detached or collected: the next socket with the same number waits for itself."""
    numbers = []
    for end in ("close", "detach", "collect", "timeout"):
        one, two = socket.socketpair()
        numbers.append((one.fileno(), two.fileno()))
        one.settimeout(SOON_S)
        with pytest.raises(TimeoutError):  # leaves a watch behind
            one.recv(1)
        one.settimeout(LONG_S)
        thread = green.spawn(one.recv, 1)
        turns()
        two.send(b"x")
        assert thread.wait(LONG_S) == b"x"
        if end == "detach":
            os.close(one.detach())
        elif end != "collect":
            one.close()
        two.close()
        with pytest.warns(ResourceWarning) if end == "collect" else nullcontext():
            del one, two, thread
            gc.collect()
        assert not hub.watches
    assert len(set(numbers)) == 1


def test_an_accident_with_the_number_reaches_nobody_else(pair, hub):
    one, _ = pair
    with green.Timeout(SOON_S, False):
        one.recv(1)
    assert hub.watches  # kept for the next time
    other, end = socket.socketpair()
    os.dup2(other.fileno(), one.fileno())  # what the number means changes under our feet
    reader = green.spawn(other.recv, 1)
    turns()
    end.send(b"x")
    assert reader.wait(LONG_S) == b"x"
    other.close()
    end.close()


def test_two_readers_get_a_clear_error(pair):
    one, two = pair
    first, second = green.spawn(one.recv, 1), green.spawn(one.recv, 1)
    with pytest.raises(ContextError, match="two green threads are reading"):
        second.wait()
    two.send(b"x")
    assert first.wait(LONG_S) == b"x"


def test_a_reader_and_a_writer_are_two(pair):
    one, two = pair
    reader, writer = green.spawn(one.recv, 1), green.spawn(one.sendall, bytes(3_000_000))
    turns()
    two.send(b"x")
    assert reader.wait(LONG_S) == b"x"
    left = 3_000_000
    while left:
        left -= len(two.recv(left))
    writer.wait(LONG_S)


def test_data_that_nobody_waits_for_costs_nothing(pair, hub):
    one, two = pair
    with green.Timeout(SOON_S, False):
        one.recv(1)
    two.send(b"x")
    turns()
    assert not hub.watches  # and so the loop does not spin
    assert one.recv(1) == b"x"


def test_dup_fromfd_and_a_socket_of_a_number(pair):
    one, two = pair
    with one.dup() as copy, socket.fromfd(one.fileno(), one.family, one.type) as other:
        assert isinstance(copy, socket.socket)
        for sock in (copy, other):
            thread = green.spawn(sock.recv, 1)
            turns()
            two.send(b"x")
            assert thread.wait(LONG_S) == b"x"


# --- names


def test_names_have_the_answers_of_the_c_library():
    for args in (("localhost", 80), ("127.0.0.1", "http"), (None, 5), ("::1", 1, socket.AF_INET6, socket.SOCK_STREAM)):
        assert socket.getaddrinfo(*args) == real.getaddrinfo(*args)
    assert socket.gethostbyname("localhost") == real.gethostbyname("localhost")
    assert socket.gethostbyname_ex("localhost") == real.gethostbyname_ex("localhost")
    assert socket.getnameinfo(("127.0.0.1", 80), 0) == real.getnameinfo(("127.0.0.1", 80), 0)
    assert socket.gethostbyaddr("127.0.0.1") == real.gethostbyaddr("127.0.0.1")
    assert socket.getfqdn("localhost") == real.getfqdn("localhost")
    assert socket.has_dualstack_ipv6() == real.has_dualstack_ipv6()
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("no-such-name.invalid", 80)


def test_a_name_server_that_does_not_answer_can_be_given_up(monkeypatch):
    gate = threading.Event()
    monkeypatch.setattr(socket, "_getaddrinfo", lambda *_: gate.wait(LONG_S) and [])
    thread = green.spawn(socket.getaddrinfo, "slow.example", 80)
    turns()
    with pytest.raises(green.Timeout), green.Timeout(SOON_S):
        socket.create_connection(("slow.example", 80))
    thread.kill()
    assert thread.join(LONG_S)
    gate.set()


# --- listen, connect, serve


def test_a_port_that_is_taken_is_an_error():
    with green.listen(("127.0.0.1", 0)) as sock, pytest.raises(OSError, match="in use"):
        green.listen(sock.getsockname())
    with green.listen(("127.0.0.1", 0), reuse_port=True) as sock:
        green.listen(sock.getsockname(), reuse_port=True).close()


def test_serve_ends_by_stopserve_and_survives_its_handlers(caplog):
    seen = []

    def handle(connection, address):
        with connection:
            word = connection.recv(10)
            seen.append((word, address))
            if word == b"fail":
                raise KeyError(word)
            if word == b"stop":
                raise green.StopServe
            connection.sendall(word)

    with green.listen(("127.0.0.1", 0)) as listener:
        server = green.spawn(green.serve, listener, handle, 2)
        for word in (b"fail", b"echo", b"stop"):
            with green.connect(listener.getsockname()) as client:
                client.sendall(word)
                assert client.recv(10) == (word if word == b"echo" else b"")
        server.wait(LONG_S)
    assert [word for word, _ in seen] == [b"fail", b"echo", b"stop"]
    assert caplog.text.count("KeyError: ") == 1


def test_five_hundred_connections_at_once():
    def handle(connection, _):
        with connection:
            while data := connection.recv(1000):
                connection.sendall(data)

    def talk(number):
        with green.connect(address) as client:
            for turn in range(3):
                word = b"%d %d" % (number, turn)
                client.sendall(word)
                assert client.recv(100) == word
        return number

    with green.listen(("127.0.0.1", 0), backlog=500) as listener:
        address = listener.getsockname()
        server = green.spawn(green.serve, listener, handle)
        threads = [green.spawn(talk, number) for number in range(200)]
        assert [thread.wait(LONG_S) for thread in threads] == list(range(200))
        server.kill()
        server.join()


def test_in_plain_threads_too():
    def talk():
        one, two = socket.socketpair()
        with one, two:
            thread = green.spawn(two.recv, 5)
            green.sleep(0)
            one.sendall(b"hello")
            seen.append(thread.wait(LONG_S))

    seen = []
    threads = [threading.Thread(target=talk) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
    assert seen == [b"hello"] * 3
