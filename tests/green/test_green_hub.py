"""The hub: who may wait, how waits end, and what becomes of green threads when something goes wrong."""

import asyncio
import contextvars
import gc
import logging
import os
import signal
import threading
import traceback
import weakref

import greenlet
import pytest

from greenwire import green
from greenwire.errors import ContextError
from greenwire.green import hub as hubs
from greenwire.green.hub import State, Waiter
from greenwire.green.thread import GreenThread
from greenwire.green.worker import HubClosedError, Job

LONG_S = 60.0  # for waits that something else ends


def turns(number=5):
    """So many turns of the loop, however fast the machine is."""
    for _ in range(number):
        green.sleep(0)


async def turns_async(number=5):
    for _ in range(number):
        await asyncio.sleep(0)


def test_a_plain_script_can_sleep_and_no_loop_runs_between_its_calls():
    green.sleep(0.001)
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
    assert asyncio.run(asyncio.sleep(0, "another loop")) == "another loop"
    green.sleep(0)


def test_green_threads_start_in_order_and_take_turns():
    seen = []

    def work(name):
        seen.append((name, 1))
        green.sleep(0)
        seen.append((name, 2))

    threads = [green.spawn(work, name) for name in "abc"]
    assert seen == []  # never at once
    for thread in threads:
        thread.wait()
    assert seen == [(name, turn) for turn in (1, 2) for name in "abc"]


def test_greenlets_are_used_again(hub):
    for _ in range(50):
        green.spawn(green.sleep, 0).wait()
    assert len(hub.workers) == 1


def test_idle_greenlets_are_bounded(hub):
    gate = green.Event()
    threads = [green.spawn(gate.wait) for _ in range(hubs._IDLE_WORKERS + 20)]
    green.sleep(0)
    assert len(hub.workers) == len(threads)
    gate.set()
    for thread in threads:
        thread.wait()
    assert len(hub.workers) == hubs._IDLE_WORKERS


def test_results_and_whole_tracebacks_come_through_wait():
    async def deepest():
        raise KeyError("deep")

    def middle():
        green.wait(deepest())

    thread = green.spawn(middle)
    with pytest.raises(KeyError) as caught:
        thread.wait()
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert "middle" in names
    assert names[-1] == "deepest"
    assert green.spawn(divmod, 7, 2).wait() == (3, 1)


def test_each_green_thread_has_a_copy_of_its_starters_context():
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("mine")

    def look():
        before = variable.get()
        variable.set("theirs")
        green.sleep(0)
        return before, variable.get()

    first, second = green.spawn(look), green.spawn(look)
    assert first.wait() == second.wait() == ("mine", "theirs")
    assert variable.get() == "mine"


async def _value(value):
    await asyncio.sleep(0)
    return value


def test_wait_runs_coroutines_futures_and_tasks():
    assert green.wait(_value(1)) == 1

    def inside():
        task = asyncio.ensure_future(_value(2))
        return green.wait(task), asyncio.current_task()

    assert green.spawn(inside).wait() == (2, None)


def test_wait_has_a_timeout_that_cancels(hub):
    ends = []

    async def endless():
        try:
            await asyncio.sleep(LONG_S)
        finally:
            ends.append("cancelled")

    task = hub.aio.create_task(endless())
    turns()  # it has begun: one that is cancelled before has no ``finally``
    with pytest.raises(TimeoutError):
        green.wait(task, timeout=0.001)
    turns()
    assert ends == ["cancelled"]


def test_to_kill_a_waiting_green_thread_cancels_what_it_waits_for(hub):
    async def endless():
        await asyncio.sleep(LONG_S)

    task = hub.aio.create_task(endless())
    thread = green.spawn(green.wait, task)
    green.sleep(0)
    thread.kill()
    with pytest.raises(green.GreenletExit):
        thread.wait()
    green.sleep(0)
    assert task.cancelled()


# --- where one may not wait


def test_a_green_call_in_a_coroutine_is_an_error():
    async def wrong():
        green.sleep(0)

    with pytest.raises(ContextError, match="coroutine"):
        asyncio.run(wrong())
    with pytest.raises(ContextError, match="coroutine"):
        green.wait(wrong())


@pytest.mark.parametrize(
    "call",
    [
        lambda: green.wait(asyncio.sleep(0)),
        lambda: green.Event().wait(),
        lambda: green.Semaphore(0).acquire(),
        lambda: green.Queue().get(),
        lambda: green.spawn(green.sleep, 0).join(),
        lambda: green.tpool.execute(int),
        lambda: green.Timeout(1),
    ],
)
@pytest.mark.filterwarnings("ignore:coroutine 'sleep' was never awaited")
def test_every_wait_in_a_callback_is_an_error(hub, call):
    errors = []

    def callback():
        try:
            call()
        except ContextError as error:
            errors.append(error)

    hub.aio.call_soon(callback)
    turns()
    assert len(errors) == 1


def test_an_exception_in_a_callback_ends_nothing(hub):
    complaints = []
    hub.aio.set_exception_handler(lambda _, context: complaints.append(context["exception"]))
    thread = green.spawn(green.sleep, 0.002)
    hub.aio.call_soon(lambda: 1 / 0)
    thread.wait()
    assert [type(error) for error in complaints] == [ZeroDivisionError]


def test_a_link_that_fails_is_logged_and_the_others_run(caplog):
    seen = []
    thread = green.spawn(int)
    thread.link(lambda _: 1 / 0)
    thread.link(lambda thread, word: seen.append((thread.result, word)), "linked")
    thread.wait()
    assert seen == [(0, "linked")]
    assert "linked to a green thread failed" in caplog.text


def test_a_greenlet_that_is_not_ours_may_wait_below_a_green_thread():
    def outer():
        inner = greenlet.greenlet(lambda: green.sleep(0.001) or "slept")
        return inner.switch()

    assert green.spawn(outer).wait() == "slept"


# --- a wait is over once


def test_waiters_leave_pending_once():
    waiter = Waiter()
    assert waiter.state is State.PENDING
    assert waiter.wake("first")
    assert not waiter.wake("second")
    waiter.expire()
    assert waiter.wait(LONG_S)
    assert (waiter.state, waiter.value) == (State.WOKEN, "first")


def test_a_late_wake_up_does_not_reach_the_next_wait():
    waiter = Waiter()
    assert not waiter.wait(0)
    assert not waiter.wake()

    seen, gate = [], green.Event()

    def work():
        early = Waiter()
        early.wake()  # its callback is on its way, and finds another wait
        assert early.wait()
        gate.wait()
        seen.append("woken")

    thread = green.spawn(work)
    turns()
    assert seen == []
    gate.set()
    thread.wait()


def test_a_bare_switch_wakes_nobody(hub):
    thread = green.spawn(green.sleep, LONG_S)
    green.sleep(0)
    (worker,) = [worker for worker in hub.workers if worker.waiter is not None]
    hub.aio.call_soon(worker.switch)
    turns()
    assert not thread.dead
    thread.kill()
    assert thread.join(LONG_S)


# --- kill


def _wait_in_event():
    green.Event().wait()


def _wait_in_lock():
    lock = green.Lock()
    lock.acquire()
    lock.acquire()


def _wait_in_condition():
    with (condition := green.Condition()):
        condition.wait()


def _wait_in_full_queue():
    queue = green.Queue(1)
    queue.put(1)
    queue.put(2)


def _wait_in_accept():
    with green.listen(("127.0.0.1", 0)) as sock:
        sock.accept()


def _wait_in_receive():
    from greenwire.green import socket

    one, two = socket.socketpair()
    with one, two:
        one.recv(1)


def _wait_in_send():
    from greenwire.green import socket

    one, two = socket.socketpair()
    with one, two:
        one.sendall(bytes(50_000_000))


def _wait_in_full_pool():
    pool = green.GreenPool(1)
    blocker = pool.spawn(green.sleep, LONG_S)
    try:
        pool.spawn(int)
    finally:
        blocker.kill()


def _wait_in_real_thread():
    gate = threading.Event()
    try:
        green.tpool.execute(gate.wait)
    finally:
        gate.set()


WAITS = [
    lambda: green.sleep(LONG_S),
    lambda: green.wait(asyncio.sleep(LONG_S)),
    lambda: green.Queue().get(),
    lambda: green.spawn_after(LONG_S, int).wait(),
    _wait_in_event,
    _wait_in_lock,
    _wait_in_condition,
    _wait_in_full_queue,
    _wait_in_accept,
    _wait_in_receive,
    _wait_in_send,
    _wait_in_full_pool,
    _wait_in_real_thread,
]


@pytest.mark.parametrize("wait", WAITS)
def test_a_green_thread_can_be_killed_in_each_wait_and_its_finally_runs(wait):
    ends = []

    def work():
        try:
            wait()
        finally:
            green.sleep(0)  # a ``finally`` may wait
            ends.append("finally")

    thread = green.spawn(work)
    turns()
    assert not thread.dead
    thread.kill()
    with pytest.raises(green.GreenletExit):
        thread.wait(LONG_S)
    assert ends == ["finally"]


@pytest.mark.parametrize("wait", WAITS)
def test_a_timeout_ends_each_wait(wait):
    def work():
        with green.Timeout(0.002, False):
            wait()
            return "not reached"
        return "timed out"

    assert green.spawn(work).wait(LONG_S) == "timed out"


def test_kill_with_an_error_of_ones_own():
    thread = green.spawn(green.sleep, LONG_S)
    green.sleep(0)
    thread.kill(KeyError("reason"))
    with pytest.raises(KeyError, match="reason"):
        thread.wait()


def test_killed_before_it_began_it_never_runs():
    seen = []
    thread = green.spawn(seen.append, 1)
    thread.kill()
    assert thread.dead
    green.sleep(0)
    assert seen == []
    later = green.spawn_after(LONG_S, seen.append, 2)
    assert later.cancel()
    assert not later.cancel()


def test_a_green_thread_can_kill_itself():
    seen = []

    def work():
        seen.append("before")
        green.kill(thread)
        seen.append("after")

    thread = green.spawn(work)
    with pytest.raises(green.GreenletExit):
        thread.wait()
    assert seen == ["before"]


def test_exceptions_that_nobody_waits_for_are_logged_once(caplog):
    green.spawn(int, "x")
    green.spawn_n(int, "y")
    green.sleep(0)
    assert caplog.text.count("ValueError") == 2
    caplog.clear()
    thread = green.spawn(int, "z")
    with pytest.raises(ValueError, match="z"):
        thread.wait()
    assert caplog.text == ""


def test_sys_exit_ends_its_green_thread_only(caplog):
    green.spawn_n(exit, 3)
    green.sleep(0)
    assert "SystemExit" in caplog.text


# --- other threads


def in_thread(fn, *args):
    """Run it in a plain thread, whose own hub goes with it; what it returned, or its exception."""
    outcome = []

    def run():
        try:
            outcome.append(fn(*args))
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(LONG_S)
    return outcome[0]


def test_a_thread_has_a_hub_of_its_own_that_ends_with_it(hub):
    found = []

    def work():
        green.spawn(green.sleep, 0).wait()
        found.append(weakref.ref(hubs.own_hub()))
        return hubs.own_hub() is hub

    assert in_thread(work) is False
    gc.collect()
    assert found[0]() is None


def test_switching_into_another_threads_greenlet_is_an_error(hub):
    thread = green.spawn(green.sleep, LONG_S)
    green.sleep(0)
    (worker,) = [worker for worker in hub.workers if worker.waiter is not None]
    error = in_thread(worker.switch)
    assert isinstance(error, greenlet.error)
    waiter = Waiter()
    assert isinstance(in_thread(waiter.wait), ContextError)
    assert not thread.dead
    thread.kill()
    thread.join()


def test_kill_and_wait_from_another_thread():
    thread = green.spawn(green.sleep, LONG_S)
    other = threading.Thread(target=thread.kill)
    green.sleep(0)
    other.start()
    with pytest.raises(green.GreenletExit):
        thread.wait(LONG_S)
    other.join()

    job = green.spawn(green.tpool.execute, str, 5)
    results = []
    other = threading.Thread(target=lambda: results.append(job.wait(LONG_S)))
    other.start()
    job.wait()
    other.join(LONG_S)
    assert results == ["5"]


# --- coroutines and green threads


def test_to_green_and_back():
    def plain(number):
        return green.wait(_value(number)) + 1

    async def main():
        return await green.to_green(plain, 41)

    assert asyncio.run(main()) == 42


def test_to_cancel_a_task_kills_the_green_thread_it_waits_for():
    ends = []

    def plain():
        try:
            green.sleep(LONG_S)
        finally:
            ends.append("killed")

    async def main():
        task = asyncio.ensure_future(green.to_green(plain))
        await turns_async()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await turns_async()

    asyncio.run(main())
    assert ends == ["killed"]


# --- the end


def test_a_loop_closed_under_waiters_gives_each_an_error(hub, caplog):
    errors = []

    def work(wait):
        try:
            wait()
        except HubClosedError as error:
            errors.append(error)
        try:
            green.sleep(0)  # those that go on waiting are ended
        except green.GreenletExit:
            errors.append("exit")
            raise

    waits = [lambda: green.sleep(LONG_S), _wait_in_event, _wait_in_lock, _wait_in_receive]
    threads = [green.spawn(work, wait) for wait in waits]
    turns()
    late = green.spawn(int)
    hub.aio.close()
    assert [str(error) for error in errors].count("exit") == len(waits)
    assert len(errors) == 2 * len(waits)
    assert all(thread.dead for thread in [*threads, late])
    assert isinstance(late.error, HubClosedError)
    assert hub.aio.is_closed()
    with pytest.raises(HubClosedError):
        hub.start(Job(contextvars.Context(), int, ()))


def test_asyncio_run_ends_its_green_threads():
    started = []

    async def main():
        started.append(green.spawn(green.sleep, LONG_S))
        await asyncio.sleep(0)

    asyncio.run(main())
    assert isinstance(started[0].error, HubClosedError)


def test_keyboard_interrupt_reaches_the_script_while_thousands_wait():
    gate = green.Event()
    threads = [green.spawn(gate.wait) for _ in range(2_000)]
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        green.sleep(0)
        green.spawn_n(os.kill, os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            green.sleep(LONG_S)
    finally:
        signal.signal(signal.SIGINT, old)
    gate.set()
    assert all(thread.wait(LONG_S) for thread in threads)


def test_an_interrupt_inside_a_green_thread_reaches_the_script():
    def interrupted():
        raise KeyboardInterrupt

    thread = green.spawn(interrupted)
    with pytest.raises(KeyboardInterrupt):
        green.sleep(LONG_S)
    assert isinstance(thread.error, KeyboardInterrupt)
    green.sleep(0)


def test_nothing_holds_what_a_green_thread_was_given():
    class Thing:
        pass

    thing = Thing()
    gone = weakref.ref(thing)
    thread = green.spawn(lambda _: None, thing)
    thread.wait()
    del thing
    gc.collect()
    assert gone() is None
    assert isinstance(thread, GreenThread)


def test_a_forked_child_starts_with_no_hub():
    green.tpool.execute(int)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            logging.disable()
            green.sleep(0.001)
            code = green.tpool.execute(int, "0")
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    green.sleep(0)
