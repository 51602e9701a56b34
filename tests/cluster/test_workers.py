"""Workers of one machine are one server: everything that one can do for a client, each can do for every client."""

import resource

import pytest

from cluster.several_workers import Listener, Workers
from greenwire.ids import owner
from support.redis import RedisServer
from support.site import Site, new_socketio
from support.waiting import wait_until


@pytest.fixture(scope="module")
def workers():
    with Workers(3) as workers:
        yield workers


@pytest.fixture
def at(workers):
    """``at(2, "x")``: a client at worker 2 that notes the events x."""
    listeners = []

    def connect(number, *events, **options):
        listeners.append(Listener(workers[number].url, *events, **options))
        assert owner(listeners[-1].sid) == number
        return listeners[-1]

    yield connect
    for listener in listeners:
        listener.close()


@pytest.fixture
def three(workers, at):
    """One client at each, once the workers know each other."""
    clients = [at(number, "x", "question", "answer", "late", "disconnect") for number in (1, 2, 3)]
    for client in clients:
        wait_until(lambda client=client: len(client.call("others")) == 2, "the workers have met")
    return clients


def test_everybody_hears_a_broadcast_once_and_in_order(three):
    for n in range(100):
        three[n % 3].emit("tell", "x", [n], {})
    for client in three:
        client.notes.wait_for(100)
        heard = [n for _, n in client.notes]
        for start in range(3):
            assert [n for n in heard if n % 3 == start] == list(range(start, 100, 3))


def test_binary_rooms_skip_and_except(three, at):
    one, two, other = three
    inside = at(2, "x", room="r")
    both = at(3, "x", room="r")
    both.call("join", "quiet")
    one.emit("tell", "x", [{"data": b"\0\1", "more": [b"2"]}], {"to": "r", "except_": "quiet"})
    one.emit("tell", "x", [2], {"to": ["r", "quiet"], "skip_sid": inside.sid})
    one.emit("tell", "x", ["end"], {})
    assert inside.notes.wait_for(2) == [("x", {"data": b"\0\1", "more": [b"2"]}), ("x", "end")]
    assert both.notes.wait_for(2) == [("x", 2), ("x", "end")]
    for client in (one, two, other):
        assert client.notes.wait_for(1) == [("x", "end")]


def test_by_sid(three):
    one, two, other = three
    one.emit("tell", "x", [1], {"to": other.sid})
    one.emit("tell", "x", ["end"], {})
    assert other.notes.wait_for(2) == [("x", 1), ("x", "end")]
    assert two.notes.wait_for(1) == [("x", "end")]


def test_enter_and_leave_a_room_with_a_sid_of_another_worker(three):
    one, two, _ = three
    one.call("join", "r", two.sid)
    one.emit("tell", "x", [1], {"to": "r"})
    one.call("leave", "r", two.sid)
    one.emit("tell", "x", ["not this"], {"to": "r"})
    one.emit("tell", "x", ["end"], {})
    assert two.notes.wait_for(2) == [("x", 1), ("x", "end")]


def test_rooms_of_a_client_of_another_worker(three):
    one, two, _ = three
    two.call("join", "a")
    two.call("join", 7)
    assert one.call("rooms", two.sid)[0] == two.sid
    assert sorted(map(str, one.call("rooms", two.sid)[1:])) == ["7", "a"]
    nobody = two.sid[:8] + "AAAAAAAA" + two.sid[16:]
    assert one.call("rooms", nobody) == "BadNamespaceError"
    assert one.call("rooms", "nonsense") == "BadNamespaceError"


def test_a_coroutine_must_not_wait_for_another_worker(three):
    one, two, _ = three
    assert one.call("rooms async", one.sid) == [one.sid]
    assert one.call("rooms async", two.sid) == "ConfigurationError"


def test_close_room(three):
    one = three[0]
    for client in three:
        client.call("join", "r")
    one.call("close", "r")
    one.emit("tell", "x", ["not this"], {"to": "r"})
    one.emit("tell", "x", ["end"], {})
    for client in three:
        assert client.notes.wait_for(1) == [("x", "end")]


def test_disconnect(three):
    one, two, other = three
    one.call("put out", two.sid)
    wait_until(lambda: any(note[0] == "disconnect" for note in two.notes), "it is put out")
    wait_until(lambda: len(other.call("connections")) == 2, "and gone")


def test_connections(three):
    one, two, other = three
    two.call("join", "r")
    in_rooms = {client.sid: [client.sid] for client in three}
    in_rooms[two.sid].append("r")
    expected = sorted([sid, "websocket", sorted(rooms)] for sid, rooms in in_rooms.items())
    wait_until(lambda: one.call("connections") == expected, "all are seen from the first worker")
    assert other.call("connections") == expected


@pytest.mark.parametrize("answer", ["yes", ("a", [1, {"b": b"\0\1"}]), b"bytes"])
def test_call(three, answer):
    one, two, _ = three
    two.answer = answer
    assert one.call("ask", two.sid) == answer
    assert two.notes == [("question", b"?")]


def test_call_for_nobody_fails_at_once(three):
    one, two, _ = three
    nobody = two.sid[:8] + "AAAAAAAA" + two.sid[16:]
    assert one.call("ask", nobody, 60) == "DisconnectedError"


def test_call_for_a_client_that_leaves_fails_at_once(three):
    one, two, _ = three
    two.client.on("question", lambda data: two.client.disconnect())
    assert one.call("ask", two.sid, 60) == "DisconnectedError"


def test_call_times_out(three, at):
    one, silent = three[0], at(2).be_silent()
    assert one.call("ask", silent.sid, 0.05) == "TimeoutError"


def test_callbacks_from_all_workers(three):
    for n, client in enumerate(three):
        client.answer = n
    three[0].call("ask all")
    assert sorted(three[0].notes.wait_for(2)) == [("answer", 1), ("answer", 2)]


def test_who_has_not_answered_in_time_is_named(three, at):
    one, two, _ = three
    two.answer = "in time"
    silent = at(3).be_silent()
    one.call("ask all", 2)
    one.notes.wait_for_item(("late", silent.sid))
    assert ("answer", "in time") in one.notes


def test_many_at_once(three):
    """Acknowledgement ids of different workers do not meet."""
    one, two, other = three
    for client in three:
        client.answer = client.sid
    for _ in range(20):
        assert one.call("ask", other.sid) == other.sid
        assert two.call("ask", other.sid) == other.sid
        assert other.call("ask", one.sid) == one.sid


# --- a worker dies


@pytest.fixture
def mortal():
    with Workers(3) as workers:
        yield workers


@pytest.fixture
def clients(mortal):
    listeners = [Listener(mortal[n].url, "x", "question") for n in (1, 2, 3)]
    for client in listeners:
        wait_until(lambda client=client: len(client.call("others")) == 2, "the workers have met")
    yield listeners
    for listener in listeners:
        listener.close()


def test_what_a_dead_worker_owes_is_not_waited_for(mortal, clients):
    one, two, _ = clients
    victim = mortal[2]
    two.client.on("question", lambda data: victim.popen.kill())
    assert one.call("ask", two.sid, 60) == "DisconnectedError"
    wait_until(lambda: one.call("others") == [3], "it is missed")
    assert len(one.call("connections")) == 2
    assert one.call("rooms", two.sid) == "BadNamespaceError"
    assert one.call("ask", two.sid, 60) == "DisconnectedError"
    wait_until(lambda: "worker 2 is gone" in mortal[1].err, "it is said")


def test_a_new_worker_of_the_same_number_takes_part(mortal, clients):
    one, _, other = clients
    mortal[2].end()
    wait_until(lambda: one.call("others") == [3], "it is missed")
    new = Listener(mortal.start(2).url, "x")
    for client in (one, other, new):
        wait_until(lambda client=client: len(client.call("others")) == 2, "they have met")
    other.emit("tell", "x", [1], {})
    for client in (one, new):
        assert client.notes.wait_for(1) == [("x", 1)]
    new.close()


def test_a_worker_without_descriptors_meets_a_new_one_later(mortal, clients):
    pid = mortal[1].popen.pid
    mortal[2].end()
    wait_until(lambda: clients[0].call("others") == [3], "it is missed")
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        assert mortal.start(2).url
        wait_until(lambda: "cannot take the connection of another worker" in mortal[1].err)
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    wait_until(lambda: clients[0].call("others") == [2, 3], "they have met")


def test_a_worker_that_ends_says_goodbye(mortal, clients):
    mortal[2].popen.terminate()
    assert mortal[2].popen.wait(15) == 0
    wait_until(lambda: clients[0].call("others") == [3], "it is missed")
    assert "is gone" not in mortal[1].err


def hang(worker, client):
    """The loop of *worker*, where *client* is, stands still when this returns."""
    client.emit("hang")
    wait_until(lambda: "stands still" in worker.err, "its loop stands still")


@pytest.mark.slow
def test_a_question_to_a_worker_that_hangs_times_out(mortal, clients):
    one, two, _ = clients
    hang(mortal[2], two)
    assert one.call("rooms", two.sid) == "TimeoutError"  # after worker_answer_s
    mortal[2].end()


def test_a_worker_that_hangs_is_cut_off_and_found_again(mortal, clients):
    """It takes nothing in: what waits for it is bounded."""
    one, two, other = clients
    hang(mortal[2], two)
    cut_off = "worker 2 takes nothing in and is cut off"
    for _ in range(20):
        one.call("tell", "x", ["x" * 900_000], {"to": "nobody"})
        if cut_off in mortal[1].err:
            break
    wait_until(lambda: cut_off in mortal[1].err, "it is cut off")
    wait_until(lambda: one.call("others") == [2, 3], "it is found again, and takes nothing in as before")
    other.emit("tell", "x", ["end"], {})
    assert one.notes.wait_for(1) == [("x", "end")]
    mortal[2].end()  # its client would wait long for it


def test_a_message_that_is_too_large_for_other_workers(three, workers):
    one, two, _ = three
    one.call("tell", "x", ["x" * 700_000, "x" * 250_000], {"to": "nobody"})
    one.client.emit("tell big", 2_000_001)
    wait_until(lambda: "(limit 'worker_message_bytes', 2000000)" in workers[1].err, "it is said")
    one.emit("tell", "x", ["end"], {})
    assert two.notes.wait_for(1) == [("x", "end")]


# --- with a message queue beside the bus


@pytest.fixture(scope="module")
def queue():
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def queued(queue):
    with Workers(2, queue.url) as workers:
        queue.wait_for_subscribers(2)
        yield workers


@pytest.fixture
def elsewhere(queue, queued):
    """A server on another machine, as far as the queue can tell."""
    socketio = new_socketio(message_queue=queue.url)
    with Site(socketio) as site:
        queue.wait_for_subscribers(3)
        yield site
        site.close_all()


def test_everybody_hears_once_with_a_queue_beside(queued, elsewhere):
    clients = [Listener(url, "x", "question") for url in (queued[1].url, queued[2].url, elsewhere.url)]
    one, two, far = clients
    try:
        wait_until(lambda: one.call("others") == [2] and two.call("others") == [1], "they have met")
        for n in range(20):
            one.emit("tell", "x", [n], {})
        elsewhere.socketio.emit("x", "from afar")
        for client in clients:
            client.notes.wait_for_item(("x", "from afar"))
            client.notes.wait_for_item(("x", 19))
            assert sorted(note[1] for note in client.notes if note[1] != "from afar") == list(range(20))
        two.answer, far.answer = "near", "far"
        for _ in range(10):
            assert one.call("ask", two.sid) == "near"
            assert two.call("ask", far.sid) == "far", "the answer is for worker 2, of both"
        assert elsewhere.socketio.call("question", "?", to=two.sid, timeout=10) == "near"
        one.call("join", "r", far.sid)
        one.emit("tell", "x", ["in the room"], {"to": "r"})
        far.notes.wait_for_item(("x", "in the room"))
    finally:
        for client in clients:
            client.close()
