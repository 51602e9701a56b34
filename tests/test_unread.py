"""The count of what clients have not read, and who is cut off when it is too much."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenwire.unread import Unread, UnreadQueue

ITEM = bytes(5_000)
ALONE = 5_216  # what it counts: itself, what an object costs, one place in a queue


class Clients:
    """Queues over one limit, and which of them were cut off."""

    def __init__(self, count: int, limit: float) -> None:
        self.told: list[int] = []
        self.cut: list[int] = []
        self.unread = Unread(limit, self.told.append)
        self.queues = [
            UnreadQueue[bytes](self.unread, len, lambda number=number: self.cut.append(number))
            for number in range(count)
        ]


@pytest.mark.parametrize(("limit", "cut"), [(2 * ALONE, []), (2 * ALONE - 1, [0])])
def test_output_bytes_at_the_limit_and_one_past(limit, cut):
    clients = Clients(2, limit)
    for queue in clients.queues:
        queue.append(bytes(5_000))
    assert clients.unread.bytes == 2 * ALONE - len(cut) * ALONE
    assert clients.cut == cut
    assert clients.told == [2 * ALONE] * len(cut)


def test_what_many_wait_for_counts_once():
    clients = Clients(1_000, 5 * ALONE)
    for queue in clients.queues:
        queue.append(ITEM)
    assert clients.unread.bytes == ALONE + 999 * 16
    assert not clients.cut
    for queue in clients.queues:
        assert queue.popleft() is ITEM
    assert clients.unread.bytes == 0


def test_those_with_the_most_go_first_and_no_more_than_necessary():
    clients = Clients(4, 100_000)
    for queue, size in zip(clients.queues, [20_000, 30_000, 10_000, 38_000], strict=True):
        queue.append(bytes(size))
    assert not clients.cut
    clients.queues[2].append(bytes(2_000))
    assert clients.cut == [3]
    assert len(clients.queues[3]) == 0
    assert [queue.bytes for queue in clients.queues] == [20_000, 30_000, 12_000, 0]


def test_with_the_limit_barely_kept_there_is_room_again():
    """A sixteenth, so that not each packet more is a reason to look at all queues."""
    clients = Clients(100, 100 * ALONE)
    for queue in clients.queues:
        queue.append(bytes(5_000))
    clients.queues[0].append(bytes(5_000))
    assert clients.cut[0] == 0
    assert len(clients.cut) == 7  # the first waits for twice as much
    for queue in clients.queues[50:55]:
        queue.append(bytes(5_000))
    assert len(clients.told) == 1


def test_who_is_cut_off_may_be_sent_something_by_that():
    unread = Unread(1_000)
    other = UnreadQueue[bytes](unread, len, lambda: None)
    queue = UnreadQueue[bytes](unread, len, lambda: other.append(bytes(5_000)))
    queue.append(bytes(2_000))
    assert len(queue) == 0
    assert unread.bytes == ALONE  # for the next to notice
    other.append(b"x")
    assert unread.bytes == 0


def test_a_log_that_fails_does_not_lift_the_limit():
    def fail(total: int) -> None:
        raise OSError

    queue = UnreadQueue[bytes](Unread(1_000, fail), len, lambda: None)
    for _ in range(2):
        with pytest.raises(OSError):  # noqa: PT011  # it has no message
            queue.append(bytes(2_000))


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["append", "appendleft", "popleft", "clear"]), st.integers(0, 3), st.integers(0, 5))
)


@settings(max_examples=200)
@given(OPERATIONS)
def test_the_count_is_that_of_what_waits(operations):
    clients = Clients(4, float("inf"))
    items = [bytes(100 * n + 2) for n in range(6)]
    models: list[list[bytes]] = [[] for _ in range(4)]
    for operation, number, item in operations:
        queue, model = clients.queues[number], models[number]
        if operation == "append":
            queue.append(items[item])
            model.append(items[item])
        elif operation == "appendleft":
            queue.appendleft(items[item])
            model.insert(0, items[item])
        elif operation == "clear":
            queue.clear()
            model.clear()
        elif model:
            assert queue.popleft() is model.pop(0)
    assert [list(queue) for queue in clients.queues] == models
    assert [queue.bytes for queue in clients.queues] == [sum(map(len, model)) for model in models]
    waiting = Counter(id(item) for model in models for item in model)
    sizes = {id(item): len(item) for item in items}
    assert clients.unread.bytes == sum(200 + sizes[key] + 16 * count for key, count in waiting.items())
    for queue in clients.queues:
        queue.clear()
    assert clients.unread.bytes == 0
