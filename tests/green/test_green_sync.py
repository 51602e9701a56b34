"""Events, locks, semaphores, conditions, queues and pools: fair, in time, and safe against every other thread."""

import random
import threading
import time

import pytest

from greenwire import green
from greenwire.errors import ContextError
from greenwire.green.queue import Empty, Full, SimpleQueue
from support.turns import turns

LONG_S = 60.0
SOON_S = 0.002


# --- Event


def test_an_event_wakes_all_that_wait():
    event = green.Event()
    threads = [green.spawn(event.wait) for _ in range(3)]
    turns()
    assert not any(thread.dead for thread in threads)
    event.set()
    assert [thread.wait() for thread in threads] == [True] * 3
    assert event.wait(0)
    event.clear()
    assert not event.is_set()
    assert event.wait(SOON_S) is False
    assert not event._line


# --- Lock and semaphores


@pytest.mark.parametrize("make", [green.Lock, green.Semaphore, green.BoundedSemaphore, green.RLock])
def test_locks_are_given_in_order_of_coming(make):
    lock = make()
    order = []

    def work(name):
        with lock:
            order.append(name)
            green.sleep(0)
            order.append(name)

    for thread in [green.spawn(work, name) for name in "abcd"]:
        thread.wait()
    assert "".join(order) == "aabbccdd"


def test_one_that_comes_later_does_not_overtake():
    lock = green.Lock()
    lock.acquire()
    waiting = green.spawn(lock.acquire)
    turns()
    lock.release()  # it belongs to the one that waits, who has not run yet
    assert not lock.acquire(blocking=False)
    assert waiting.wait()


def test_lock_arguments_are_those_of_threading():
    lock = green.Lock()
    assert lock.acquire(True, -1)
    assert not lock.acquire(False)
    assert not lock.acquire(timeout=SOON_S)
    assert not lock.acquire(timeout=0)
    with pytest.raises(ValueError, match="timeout"):
        lock.acquire(False, 1)
    with pytest.raises(ValueError, match="timeout"):
        lock.acquire(True, -2)
    lock.release()
    assert not lock.locked()
    with pytest.raises(RuntimeError):
        lock.release()


def test_semaphores_count():
    semaphore = green.BoundedSemaphore(2)
    assert semaphore.acquire()
    assert semaphore.acquire()
    assert not semaphore.acquire(blocking=False)
    semaphore.release(2)
    with pytest.raises(ValueError, match="too many"):
        semaphore.release()
    with pytest.raises(ValueError, match=">= 0"):
        green.Semaphore(-1)
    with pytest.raises(ValueError, match="one or more"):
        green.Semaphore().release(0)


@pytest.mark.parametrize("order", ["kill first", "release first"])
def test_a_lock_is_not_lost_with_the_one_that_was_to_get_it(order):
    lock = green.Lock()
    lock.acquire()
    first, second = green.spawn(lock.acquire), green.spawn(lock.acquire)
    turns()
    if order == "kill first":
        first.kill()
        lock.release()
    else:
        lock.release()
        first.kill()  # woken, and has not run since
    assert second.wait(LONG_S)
    with pytest.raises(green.GreenletExit):
        first.wait()
    lock.release()
    assert not lock.locked()


def test_a_timeout_inside_a_lock_releases_it():
    lock = green.Lock()

    def work():
        with green.Timeout(SOON_S, False), lock:
            green.sleep(LONG_S)

    green.spawn(work).wait()
    assert not lock.locked()


def test_a_timeout_while_waiting_for_a_lock_leaves_the_line():
    lock = green.Lock()
    lock.acquire()
    with pytest.raises(green.Timeout), green.Timeout(SOON_S):
        lock.acquire()
    assert not lock._line
    lock.release()
    assert lock.acquire(blocking=False)


def test_an_rlock_belongs_to_a_green_thread_and_not_to_its_greenlet():
    lock = green.RLock()

    def take():
        assert lock.acquire()
        assert lock.acquire()

    green.spawn(take).wait()  # ends without releasing; the next one runs in the same greenlet
    assert green.spawn(lock.acquire, False).wait() is False
    with pytest.raises(RuntimeError):
        lock.release()


# --- Condition


def test_conditions_wake_in_order_of_waiting():
    condition = green.Condition()
    order = []

    def work(name):
        with condition:
            assert condition.wait()
            order.append(name)

    threads = [green.spawn(work, name) for name in "abc"]
    turns()
    with condition:
        condition.notify()
    threads[0].wait()
    assert order == ["a"]
    with condition:
        condition.notify_all()
    for thread in threads:
        thread.wait()
    assert order == ["a", "b", "c"]


@pytest.mark.parametrize("lock", [green.Lock, green.RLock])
def test_a_condition_holds_its_lock_again_after_a_timeout_or_a_kill(lock):
    condition = green.Condition(lock())
    with condition:
        assert condition.wait(SOON_S) is False
    assert condition.acquire(False)
    condition.release()
    held = []

    def work():
        with condition:
            try:
                condition.wait()
            finally:
                held.append(condition._lock.locked())

    thread = green.spawn(work)
    turns()
    thread.kill()
    assert thread.join(LONG_S)
    assert isinstance(thread.error, green.GreenletExit)
    assert held == [True]
    assert not condition._line


def test_a_notification_is_not_lost_with_the_one_that_was_to_get_it():
    condition = green.Condition()

    def work():
        with condition:
            return condition.wait(LONG_S)

    first, second = green.spawn(work), green.spawn(work)
    turns()
    with condition:
        condition.notify()
        first.kill()
    assert second.wait(LONG_S)


def test_wait_for():
    condition, items = green.Condition(), []

    def work():
        with condition:
            return condition.wait_for(lambda: items, LONG_S)

    thread = green.spawn(work)
    turns()
    with condition:
        assert condition.wait_for(lambda: None, SOON_S) is None
        items.append(1)
        condition.notify()
    assert thread.wait() == [1]
    with pytest.raises(RuntimeError, match="un-acquired"):
        condition.notify()


# --- Timeout


def test_timeouts_nest_and_each_ends_its_own_block():
    with pytest.raises(green.Timeout) as caught, green.Timeout(SOON_S) as outer, green.Timeout(LONG_S, False):
        green.sleep(LONG_S)
    assert caught.value is outer
    reached = []
    with green.Timeout(LONG_S):
        with green.Timeout(SOON_S, False):
            green.sleep(LONG_S)
            reached.append("inner")
        green.sleep(0)
        reached.append("outer")
    assert reached == ["outer"]


def test_two_timeouts_at_the_same_moment_both_count():
    def work():
        with green.Timeout(0), green.Timeout(0, False):
            green.sleep(LONG_S)
        return "not reached"

    def patient():
        with green.Timeout(0, False):
            with green.Timeout(0, False):
                green.sleep(LONG_S)
            green.sleep(LONG_S)
        green.sleep(0)
        return "both"

    with pytest.raises(green.Timeout):
        green.spawn(work).wait(LONG_S)
    assert green.spawn(patient).wait(LONG_S) == "both"


def test_a_timeout_is_no_exception_and_may_be_another():
    def work():
        try:
            with green.Timeout(SOON_S):
                green.sleep(LONG_S)
        except Exception:
            return "swallowed"

    with pytest.raises(green.Timeout, match="0.002 seconds"):
        green.spawn(work).wait()
    with pytest.raises(KeyError), green.Timeout(SOON_S, KeyError):
        green.sleep(LONG_S)


def test_a_timeout_that_is_over_or_left_behind_harms_nobody():
    with green.Timeout(SOON_S) as timeout:
        assert timeout.pending
    assert not timeout.pending
    green.spawn(green.Timeout, SOON_S).wait()  # never cancelled, and its greenlet is used again
    green.spawn(green.sleep, 3 * SOON_S).wait()
    with green.Timeout(None):
        green.sleep(0)


# --- local


def test_local_is_each_green_threads_own():
    class Mine(green.local):
        shared = "class"

        def __init__(self, first):
            self.items = [first]

    mine = Mine(1)
    mine.items.append(2)

    def look():
        mine.items.append(3)
        green.sleep(0)
        mine.other = 4
        return mine.items, mine.shared, sorted(mine.__dict__)

    assert green.spawn(look).wait() == ([1, 3], "class", ["items", "other"])
    assert green.spawn(look).wait() == ([1, 3], "class", ["items", "other"])
    assert mine.items == [1, 2]
    assert not hasattr(mine, "other")
    del mine.items
    with pytest.raises(AttributeError):
        mine.items  # noqa: B018
    with pytest.raises(TypeError):
        green.local(1)
    assert len(object.__getattribute__(mine, "_values")) == 1  # the ended ones have left nothing


# --- queues


def test_queues_keep_their_order():
    for kind, expected in (
        (green.Queue, [3, 1, 2]),
        (green.LifoQueue, [2, 1, 3]),
        (green.PriorityQueue, [1, 2, 3]),
        (SimpleQueue, [3, 1, 2]),
    ):
        queue = kind()
        for number in (3, 1, 2):
            queue.put(number)
        assert queue.qsize() == 3
        assert [queue.get() for _ in range(3)] == expected
        assert queue.empty()
        with pytest.raises(Empty):
            queue.get_nowait()
        with pytest.raises(Empty):
            queue.get(timeout=SOON_S)


def test_getters_and_putters_are_served_in_order():
    queue = green.Queue(1)
    got = []
    getters = [green.spawn(lambda name=name: got.append((name, queue.get()))) for name in "abc"]
    turns()
    putters = [green.spawn(queue.put, number) for number in range(3)]
    for thread in [*getters, *putters]:
        thread.wait()
    assert got == [("a", 0), ("b", 1), ("c", 2)]


def test_a_full_queue_lets_putters_wait():
    queue = green.Queue(1)
    queue.put(1)
    assert queue.full()
    with pytest.raises(Full):
        queue.put_nowait(2)
    with pytest.raises(Full):
        queue.put(2, timeout=SOON_S)
    thread = green.spawn(queue.put, 2)
    turns()
    assert queue.get() == 1
    thread.wait()
    assert queue.get() == 2


def test_join_waits_for_every_item():
    queue = green.Queue()
    for number in range(3):
        queue.put(number)
    thread = green.spawn(queue.join)
    for _ in range(3):
        turns()
        assert not thread.dead
        queue.get()
        queue.task_done()
    thread.wait()
    with pytest.raises(ValueError, match="too many"):
        queue.task_done()


def test_items_that_cannot_be_compared_leave_no_trace():
    queue = green.PriorityQueue(2)
    queue.put(1)
    with pytest.raises(TypeError):
        queue.put("a")
    queue.put(0)
    assert [queue.get(), queue.get()] == [0, 1]
    queue.task_done()
    queue.task_done()
    queue.join()


def test_an_item_is_not_lost_with_the_one_that_was_to_get_it():
    queue = green.Queue()
    first, second = green.spawn(queue.get), green.spawn(queue.get)
    turns()
    queue.put("item")
    first.kill()
    assert second.wait(LONG_S) == "item"
    assert first.join(LONG_S)


# --- other threads


def test_plain_threads_may_put_set_and_release():
    queue, event, semaphore = green.Queue(), green.Event(), green.Semaphore(0)

    def plain():
        for number in range(200):
            queue.put(number)
        event.set()
        semaphore.release(2)

    waiting = [green.spawn(event.wait), green.spawn(semaphore.acquire), green.spawn(semaphore.acquire)]
    turns()
    thread = threading.Thread(target=plain)
    thread.start()
    assert [queue.get(timeout=LONG_S) for _ in range(200)] == list(range(200))
    assert all(thread.wait(LONG_S) for thread in waiting)
    thread.join()


def test_nothing_is_lost_or_doubled_between_many_threads():
    """Green threads of four hubs pass a thousand tokens through one queue and one lock."""
    queue, lock = green.Queue(7), green.Lock()
    got, inside = [], []

    def take():
        while (item := queue.get(timeout=LONG_S)) is not None:
            with lock:
                inside.append(item)
                assert len(inside) == 1
                if random.random() < 0.1:
                    green.sleep(0)
                got.append(inside.pop())

    def hub():
        for thread in [green.spawn(take) for _ in range(5)]:
            thread.wait(LONG_S)

    threads = [threading.Thread(target=hub) for _ in range(3)]
    for thread in threads:
        thread.start()
    own = green.spawn(hub)
    for number in range(1000):
        queue.put(number, timeout=LONG_S)
    for _ in range(20):
        queue.put(None, timeout=LONG_S)
    own.wait(LONG_S)
    for thread in threads:
        thread.join(LONG_S)
        assert not thread.is_alive()
    assert sorted(got) == list(range(1000))


def test_tpool_runs_in_a_thread_and_lets_others_run():
    main = threading.get_ident()
    gate = threading.Event()
    waiting = green.spawn(green.tpool.execute, gate.wait, LONG_S)
    assert green.tpool.execute(threading.get_ident) != main
    gate.set()
    assert waiting.wait(LONG_S)
    with pytest.raises(ZeroDivisionError):
        green.tpool.execute(divmod, 1, 0)


def test_tpool_has_no_more_threads_than_its_size():
    pool = green.tpool.ThreadPool(2)
    seen = set()

    def work():
        seen.add(threading.get_ident())
        time.monotonic()

    for thread in [green.spawn(pool.execute, work) for _ in range(20)]:
        thread.wait(LONG_S)
    assert 1 <= len(seen) <= 2


# --- GreenPool, GreenPile


def test_a_pool_runs_so_many_at_once():
    pool = green.GreenPool(2)
    running, most = [], []

    def work():
        running.append(1)
        most.append(len(running))
        green.sleep(0)
        running.pop()

    for _ in range(7):
        pool.spawn(work)
    assert pool.running() <= 2
    pool.waitall()
    assert len(most) == 7
    assert max(most) == 2
    assert (pool.running(), pool.free()) == (0, 2)


def test_a_full_pool_runs_what_its_own_start_in_their_place():
    pool = green.GreenPool(1)
    thread = pool.spawn(lambda: pool.spawn(lambda: 5).wait())
    assert thread.wait() == 5

    def wrong():
        pool.waitall()

    with pytest.raises(ContextError):
        pool.spawn(wrong).wait()
    pool.waitall()


def test_a_pool_can_be_resized():
    pool = green.GreenPool(3)
    gate = green.Event()
    first = [pool.spawn(gate.wait) for _ in range(3)]
    pool.resize(1)
    assert pool.free() == -2
    waiting = green.spawn(pool.spawn, int)
    turns()
    assert pool.waiting() == 1
    gate.set()
    for thread in first:
        thread.wait()
    waiting.wait().wait()
    assert pool.free() == 1
    pool.resize(2)
    gate.clear()
    both = [pool.spawn(gate.wait) for _ in range(2)]
    gate.set()
    for thread in both:
        thread.wait()


def test_a_killed_member_leaves_its_place(caplog):
    pool = green.GreenPool(1)
    pool.spawn(green.sleep, LONG_S).kill()
    pool.spawn_n(int, "x")
    assert pool.spawn(int, "5").wait() == 5
    assert "ValueError" in caplog.text
    pool.waitall()


def test_imap_and_pile_keep_order():
    def late(number):
        green.sleep(0.003 - number / 1000)
        return number

    assert list(green.GreenPool(2).imap(late, range(3))) == [0, 1, 2]
    assert list(green.GreenPool(5).starmap(divmod, [(7, 2), (9, 4)])) == [(3, 1), (2, 1)]
    pile = green.GreenPile(2)
    for number in range(3):
        pile.spawn(late, number)
    assert list(pile) == [0, 1, 2]
    pile.spawn(int, "x")
    with pytest.raises(ValueError, match="x"):
        next(pile)
