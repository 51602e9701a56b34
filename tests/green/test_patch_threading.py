"""``threading`` in a patched process: green threads that look like threads."""

import pytest
from patched import NO_UVLOOP, PATCH, run


@pytest.fixture(autouse=True)
def hub():
    """Each test has a process of its own, and no hub here."""


@pytest.fixture(params=[PATCH, NO_UVLOOP + PATCH], ids=["uvloop", "asyncio"])
def before(request):
    return request.param


def test_a_thread_is_green_and_looks_like_one(before):
    run(
        """
        import threading
        main = threading.current_thread()
        assert main is threading.main_thread() and main.ident == threading.get_ident()
        go_on, native, idents = threading.Event(), set(), set()

        def work():
            me = threading.current_thread()
            assert me in threading.enumerate() and me.ident == threading.get_ident() != main.ident
            assert threading.main_thread() is main and main.is_alive()
            native.add(threading.get_native_id())
            idents.add(me.ident)
            go_on.wait()

        threads = [threading.Thread(target=work, name=f"worker {number}", daemon=number % 2) for number in range(10)]
        assert not any(thread.is_alive() for thread in threads) and threads[0].ident is None
        for thread in threads:
            thread.start()
        assert all(thread.is_alive() for thread in threads) and threading.active_count() == 11
        assert [thread.daemon for thread in threads] == [0, 1] * 5
        threads[0].join(0.001)
        assert threads[0].is_alive()
        go_on.set()
        for thread in threads:
            thread.join()
        assert not any(thread.is_alive() for thread in threads) and threading.enumerate() == [main]
        assert native == {threading.get_native_id()} and len(idents) == 10
        for misuse in (threads[0].start, main.join, threading.Thread().join):
            try:
                misuse()
            except RuntimeError:
                continue
            raise AssertionError(misuse)
        """,
        before=before,
    )


def test_a_class_that_was_derived_before_is_green_too():
    run(
        """
        import threading

        class Mine(threading.Thread):
            def run(self):
                self.native = threading.get_native_id()

        from greenwire.green import patch
        patch()
        thread = Mine()
        thread.start()
        thread.join()
        assert thread.native == threading.get_native_id() and thread.ident != threading.get_ident()
        """,
        before="",
    )


def test_thousands_wait_at_once(before):
    lines = run(
        """
        import threading, time
        ready, opened = threading.Semaphore(0), threading.Event()

        def work():
            ready.release()
            opened.wait()
            time.sleep(0.001)

        threads = [threading.Thread(target=work) for _ in range(5_000)]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert ready.acquire(timeout=30)
        opened.set()
        for thread in threads:
            thread.join()
        print(threading.active_count())
        """,
        before=before,
    )
    assert lines == ["1"]


def test_what_a_thread_raises_goes_to_the_excepthook():
    run("""
        import threading
        seen = []
        threading.excepthook = lambda args: seen.append((args.exc_type, args.thread))
        def fail(): raise ValueError
        def leave(): raise SystemExit
        thread = threading.Thread(target=fail)
        thread.start(); thread.join()
        quiet = threading.Thread(target=leave)
        quiet.start(); quiet.join()
        assert seen[0] == (ValueError, thread), seen
        threading.excepthook = threading.__excepthook__
    """)


def test_every_thread_has_its_own_local():
    run("""
        import threading, time

        class Mine(threading.local):
            number = 0
            def __init__(self, start): self.number = start

        plain, mine, seen = threading.local(), Mine(7), []
        plain.value = "main"
        mine.number = 1

        def work(number):
            assert not hasattr(plain, "value") and mine.number == 7
            plain.value = mine.number = number
            time.sleep(0)
            seen.append((plain.value, mine.number))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert sorted(seen) == [(number, number) for number in range(20)]
        assert plain.value == "main" and mine.number == 1
    """)


def test_context_variables_begin_empty_in_a_thread_and_are_its_own():
    run("""
        import contextvars, threading, time
        variable, seen = contextvars.ContextVar("variable", default="none"), []
        variable.set("main")

        def work(value):
            seen.append(variable.get())
            variable.set(value)
            time.sleep(0)
            seen.append(variable.get())

        threads = [threading.Thread(target=work, args=(value,)) for value in "ab"]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert sorted(seen) == ["a", "b", "none", "none"] and variable.get() == "main"
    """)


def test_the_locals_of_flask_and_werkzeug_are_right_in_each_thread():
    run("""
        import threading, time
        from flask import Flask, g, request
        from werkzeug.local import Local
        app, local, seen = Flask("app"), Local(), []

        def work(number):
            with app.test_request_context(f"/{number}"):
                g.number = local.number = number
                time.sleep(0)
                seen.append((request.path, g.number, local.number))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert sorted(seen) == sorted((f"/{number}", number, number) for number in range(20))
    """)


def test_timer_barrier_semaphore_and_condition(before):
    run(
        """
        import threading
        fired = threading.Event()
        threading.Timer(0.001, fired.set).start()
        assert fired.wait(30)
        never = threading.Timer(60, print, ["never"])
        never.start(); never.cancel(); never.join()

        barrier, numbers = threading.Barrier(5), []
        threads = [threading.Thread(target=lambda: numbers.append(barrier.wait())) for _ in range(5)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert sorted(numbers) == [0, 1, 2, 3, 4]
        try:
            barrier.wait(0.001)
        except threading.BrokenBarrierError:
            pass

        condition, items = threading.Condition(), []
        def take():
            with condition:
                while not items:
                    condition.wait()
                taken.append(items.pop())
        taken = []
        threads = [threading.Thread(target=take) for _ in range(3)]
        for thread in threads: thread.start()
        with condition:
            items.extend("abc")
            condition.notify_all()
        for thread in threads: thread.join()
        assert sorted(taken) == ["a", "b", "c"]
        """,
        before=before,
    )


def test_an_rlock_is_a_green_threads_own():
    run("""
        import threading
        lock, other = threading.RLock(), []
        def work():
            other.append(lock.acquire(blocking=False))
        with lock, lock:
            thread = threading.Thread(target=work)
            thread.start(); thread.join()
        assert other == [False]
    """)


def test_the_end_of_the_process_waits_for_threads_that_are_no_daemons(before):
    lines = run(
        """
        import atexit, threading, time
        def work(seconds, text):
            time.sleep(seconds)
            print(text, flush=True)
        threading.Thread(target=work, args=(0.001, "last")).start()
        threading.Thread(target=work, args=(0.001, "first")).start()
        threading.Thread(target=work, args=(60, "never"), daemon=True).start()
        threading.Thread(target=lambda: threading.Thread(target=work, args=(0.001, "grandchild")).start()).start()
        atexit.register(print, "atexit")
        """,
        before=before,
    )
    assert lines[-1] == "atexit"
    assert sorted(lines[:-1]) == ["first", "grandchild", "last"]


def test_a_daemon_that_waits_at_the_end_is_silent(before):
    run(
        """
        import queue, threading
        def work():
            threading.current_thread()
            while True:
                queue.Queue().get()
        for _ in range(10):
            threading.Thread(target=work, daemon=True).start()
        """,
        before=before,
    )


def test_ctrl_c_ends_the_main_thread_while_thousands_wait(before):
    run(
        """
        import os, signal, threading, time
        waiting = threading.Event()
        for _ in range(2_000):
            threading.Thread(target=waiting.wait, daemon=True).start()
        try:
            threading.Timer(0.01, os.kill, [os.getpid(), signal.SIGINT]).start()  # it may come before that returns
            waiting.wait(30)
        except KeyboardInterrupt:
            assert threading.active_count() >= 2_001
            waiting.set()
            time.sleep(0)
        else:
            raise AssertionError
        """,
        before=before,
    )


def test_ctrl_c_in_the_middle_of_a_green_thread_reaches_the_main_thread():
    run("""
        import os, signal, threading
        def work():
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(10_000): pass
        try:
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        except KeyboardInterrupt:
            pass
        else:
            raise AssertionError
    """)


def test_a_green_thread_that_is_no_thread_has_a_name_and_is_not_remembered():
    run("""
        import threading
        from greenwire import green
        def work():
            me = threading.current_thread()
            assert me is threading.current_thread() and me.ident == threading.get_ident() and me.daemon
            return me.name
        names = {green.spawn(work).wait() for _ in range(50)}
        assert len(names) == 50 and threading.active_count() == 1
    """)


def test_the_locks_of_logging_are_green():
    run("""
        import logging, queue, socket, threading, time
        from greenwire.green.patch_threading import LoggingLock
        assert isinstance(logging._lock, LoggingLock) and isinstance(logging.lastResort.lock, LoggingLock)

        class Slow(logging.Handler):
            def emit(self, record):
                inside.append(None)
                most.append(len(inside))
                time.sleep(0)
                inside.pop()

        inside, most = [], []
        log = logging.getLogger("slow")
        log.addHandler(Slow())
        threads = [threading.Thread(target=log.warning, args=("x",)) for _ in range(10)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert most == [1] * 10
    """)


def test_the_drop_in_is_green_without_patch():
    run(
        """
        import threading as real
        from greenwire.green import threading, time
        assert set(real.__all__) <= set(vars(threading)) and threading.Thread is not real.Thread
        together, awake = threading.Barrier(2), []
        def work():
            together.wait(30)
            time.sleep(0.001)
            assert threading.current_thread() in threading.enumerate()
            awake.append(None)
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert len(awake) == 2 and real.active_count() == 1
        assert real.Lock is not threading.Lock
        for _ in range(2): threading.Thread(target=work).start()  # the end waits for them
        """,
        before="",
    )


def test_the_drop_in_is_threading_itself_under_patch():
    run("""
        import threading
        from greenwire.green import threading as green_threading
        assert green_threading.Thread is threading.Thread and green_threading.Lock is threading.Lock
    """)
