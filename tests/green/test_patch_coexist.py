"""A patched process beside what is not green: event loops, coroutines, executors, real threads, and our own server."""

import pytest
from patched import NO_UVLOOP, PATCH, run


@pytest.fixture(autouse=True)
def hub():
    """Each test has a process of its own, and no hub here."""


@pytest.fixture(params=[PATCH, NO_UVLOOP + PATCH], ids=["uvloop", "asyncio"])
def before(request):
    return request.param


UNTIL_MAIN_WAITS = """\
import asyncio, sys, threading, traceback
from greenwire.green import original

def until_main_waits():
    "For the lock, in its coroutine: it stands in the line, and not before that."
    names = set()
    while not {"main", "_wait_in_callback", "_stand", "wait"} <= names:
        original("threading.Event")().wait(0.001)
        frame = sys._current_frames()[threading.main_thread().ident]
        names = {frame.f_code.co_name for frame, _ in traceback.walk_stack(frame)}
"""


def test_asyncio_in_the_main_thread(before):
    run(
        """
        import asyncio, socket, threading, time
        async def echo(reader, writer):
            writer.write(await reader.read(100))
            writer.close()

        async def main():
            server = await asyncio.start_server(echo, "127.0.0.1", 0)
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"hello")
            assert await reader.read() == b"hello"
            writer.close()
            server.close()
            here = threading.get_native_id()
            assert await asyncio.to_thread(threading.get_native_id) != here
            process = await asyncio.create_subprocess_exec("true")
            assert await process.wait() == 0
            assert await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80)
            return "done"

        assert asyncio.run(main()) == "done" == asyncio.run(main())
        time.sleep(0.001)  # the hub of the thread
        assert asyncio.run(main()) == "done"
        """,
        before=before,
    )


def test_asyncio_in_a_real_thread_beside_green_ones(before):
    run(
        """
        import asyncio, threading, time
        from concurrent.futures import ThreadPoolExecutor
        from greenwire.green import original

        async def main(event):
            await asyncio.to_thread(begun.wait, 30)
            event.set()
            await asyncio.to_thread(time.sleep, 0.001)
            return threading.current_thread().name

        begun = original("threading.Event")()
        event, order = threading.Event(), []
        def green():
            begun.set()
            event.wait(30)
            order.append("green")
        thread = threading.Thread(target=green)
        thread.start()
        with ThreadPoolExecutor(1, "real") as pool:
            assert pool.submit(asyncio.run, main(event)).result(30) == "real_0"
        thread.join()
        assert order == ["green"]

        results = []
        real = original("threading.Thread")(target=lambda: results.append(asyncio.run(main(event))))
        real.start(); real.join()
        assert results == [real.name]
        """,
        before=before,
    )


def test_uvloop_itself():
    pytest.importorskip("uvloop")
    run("""
        import asyncio, threading, uvloop
        async def main():
            loop = asyncio.get_running_loop()
            assert type(loop).__module__ == "uvloop"
            here = threading.get_native_id()
            assert await loop.run_in_executor(None, threading.get_native_id) != here
            await loop.shutdown_default_executor()
            assert await loop.getaddrinfo("127.0.0.1", 80)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    """)


def test_a_thread_pool_has_real_threads_and_green_ones_wait_for_its_futures(before):
    run(
        """
        import threading, time
        from concurrent.futures import ThreadPoolExecutor, as_completed, wait
        from greenwire.green import original
        ticked, stop = original("threading.Event")(), threading.Event()
        def tick():
            while not stop.wait(0.001):
                ticked.set()
        ticker = threading.Thread(target=tick)
        ticker.start()

        def block(number):
            ticked.clear()
            assert ticked.wait(30)  # meanwhile green threads run
            return number, threading.get_native_id()

        with ThreadPoolExecutor(4) as pool:
            number, native = pool.submit(block, 7).result()
            assert number == 7 and native != threading.get_native_id()
            assert [number for number, _ in pool.map(block, range(8))] == list(range(8))
            futures = [pool.submit(block, number) for number in range(4)]
            assert len(list(as_completed(futures))) == 4 and len(wait(futures).done) == 4
            assert pool.submit(time.sleep, 0.001).result() is None  # a green call in a real thread
            go_on = threading.Event()
            future = pool.submit(go_on.wait, 30)
            try:
                raise AssertionError(future.result(timeout=0.001))
            except TimeoutError:
                go_on.set()
            assert future.result() is True
            try:
                raise AssertionError(pool.submit(int, "x").result())
            except ValueError:
                pass
        stop.set()
        ticker.join()
        ThreadPoolExecutor(1).submit(print, end="")  # nobody shuts it down: the end of the process does
        """,
        before=before,
    )


def test_many_green_threads_use_one_pool():
    run("""
        import threading
        from concurrent.futures import ThreadPoolExecutor
        pool, results = ThreadPoolExecutor(3), []
        def work(number):
            results.append(pool.submit(pow, number, 2).result())
        threads = [threading.Thread(target=work, args=(number,)) for number in range(200)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert sorted(results) == [number ** 2 for number in range(200)]
        pool.shutdown()
    """)


def test_pools_of_multiprocessing():
    run("""
        import math, multiprocessing, multiprocessing.pool, threading
        from concurrent.futures import ProcessPoolExecutor
        with multiprocessing.pool.ThreadPool(2) as pool:
            assert pool.map(math.sqrt, [4, 9]) == [2, 3] and pool.apply_async(pow, (2, 3)).get(30) == 8
            assert pool.apply(threading.get_native_id) != threading.get_native_id()
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            assert pool.submit(math.sqrt, 4).result(30) == 2
        with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
            assert pool.submit(math.sqrt, 4).result(30) == 2
        queue = multiprocessing.get_context("fork").Queue()
        queue.put(1)
        assert queue.get(timeout=30) == 1
    """)


def test_a_real_thread_starts_real_threads():
    run("""
        import threading
        from concurrent.futures import ThreadPoolExecutor
        natives, go_on = [], threading.Event()
        def work():
            natives.append(threading.get_native_id())
            go_on.wait(30)
        def start():
            thread = threading.Thread(target=work)
            thread.start()
            return thread
        with ThreadPoolExecutor(1) as pool:
            thread = pool.submit(start).result()
        assert thread.is_alive() and thread in threading.enumerate()
        go_on.set()
        thread.join()
        assert natives != [threading.get_native_id()] and not thread.is_alive()
    """)


def test_real_and_green_threads_share_locks_and_queues(before):
    run(
        """
        import queue, threading
        from greenwire.green import original
        lock, jobs, answers, count = threading.RLock(), queue.Queue(4), queue.SimpleQueue(), [0]
        def work():
            while (job := jobs.get()) is not None:
                with lock:
                    before = count[0]
                    answers.put(job)
                    count[0] = before + 1
        Real = original("threading.Thread")
        threads = [kind(target=work) for kind in (Real, threading.Thread) for _ in range(3)]
        for thread in threads: thread.start()
        for job in range(500): jobs.put(job)
        for _ in threads: jobs.put(None)
        assert sorted(answers.get(timeout=30) for _ in range(500)) == list(range(500))
        for thread in threads[3:]: thread.join()
        assert count == [500]
        """,
        before=before,
    )


def test_a_coroutine_that_would_wait_gets_an_error_at_once(before):
    run(
        """
        import asyncio, queue, threading, time
        from greenwire.errors import ContextError
        lock, event = threading.Lock(), threading.Event()

        async def main():
            with lock:
                pass
            lock.acquire()
            calls = [lock.acquire, event.wait, queue.Queue().get, queue.SimpleQueue().get, lambda: time.sleep(0.1)]
            for call in calls:
                try:
                    call()
                except ContextError as error:
                    assert "inside a coroutine" in str(error)
                else:
                    raise AssertionError(call)
            assert not lock.acquire(blocking=False)
            lock.release()
            queue.Queue().put(1)
            event.set()
            assert event.wait()

        asyncio.run(main())
        """,
        before=before,
    )


def test_a_coroutine_may_wait_for_a_lock_that_a_real_thread_holds(before):
    run(
        """
        lock, held = threading.Lock(), original("threading.Event")()
        def hold():
            with lock:
                held.set()
                until_main_waits()
        async def main():
            thread = original("threading.Thread")(target=hold)
            thread.start()
            held.wait()
            with lock:
                pass
            thread.join()
        asyncio.run(main())
        """,
        before=before + UNTIL_MAIN_WAITS,
    )


def test_a_coroutine_comes_before_green_threads_that_it_keeps_from_running(before):
    lines = run(
        """
        lock, held = threading.Lock(), original("threading.Event")()
        def hold():
            with lock:
                held.set()
                until_main_waits()
        def take(name):
            with lock:
                print(name)
        async def main():
            real = original("threading.Thread")(target=hold)
            real.start()
            held.wait()
            threads = [threading.Thread(target=take, args=(name,)) for name in ("first", "second")]
            for thread in threads: thread.start()
            take("coroutine")
            while any(thread.is_alive() for thread in threads):
                await asyncio.sleep(0.001)
            assert not lock.locked()
        asyncio.run(main())
        """,
        before=before + UNTIL_MAIN_WAITS,
    )
    assert lines == ["coroutine", "first", "second"]


def test_a_coroutine_keeps_its_place_in_the_line(before):
    """However long the real thread holds the lock: in a moment without it the lock would be a green thread's."""
    run(
        """
        from greenwire.green.lock import _LOOK_S
        lock, held, places = threading.Lock(), original("threading.Event")(), []
        def hold():
            with lock:
                held.set()
                until_main_waits()
                for _ in range(5):
                    places.append(lock._line[0])
                    original("threading.Event")().wait(_LOOK_S)
        async def main():
            real = original("threading.Thread")(target=hold)
            real.start()
            held.wait()
            green = threading.Thread(target=lock.acquire)
            green.start()
            with lock:
                assert len(set(places)) == 1 and len(places) == 5
            real.join()
            while green.is_alive():
                await asyncio.sleep(0.001)
            assert lock.locked()
        asyncio.run(main())
        """,
        before=before + UNTIL_MAIN_WAITS,
    )


def test_a_coroutine_does_not_take_the_last_holder_of_a_lock_for_the_present_one(before):
    run(
        """
        import asyncio, threading
        lock = threading.Lock()
        with lock:
            pass
        lock._state.acquire()  # as of a real thread, which has not come further than this
        async def main():
            return lock.acquire(timeout=0.001)
        assert asyncio.run(main()) is False
        """,
        before=before,
    )


def test_a_coroutine_starts_a_green_thread_and_logs_while_one_logs(before):
    lines = run(
        """
        import asyncio, logging, sys, threading, time

        class Slow(logging.StreamHandler):
            def emit(self, record):
                super().emit(record)
                if threading.current_thread() is not threading.main_thread():
                    time.sleep(0.001)

        log = logging.getLogger("app")
        log.addHandler(Slow(sys.stdout))

        async def main():
            thread = threading.Thread(target=log.warning, args=["green"])
            thread.start()
            assert thread.is_alive()
            log.warning("coroutine")
            while thread.is_alive():
                await asyncio.sleep(0.001)
            log.warning("end")
        asyncio.run(main())
        """,
        before=before,
    )
    assert lines == ["green", "coroutine", "end"]


def test_a_thread_that_a_coroutine_starts_leaves_the_loops_stack_where_it_is():
    """See ``greenwire.green.depth``: it is born as far below the loop as any other green thread."""
    script = """
        import asyncio, socket, threading
        from greenwire.green.hub import hub_of
        from greenwire.loop import new_event_loop

        moved = []

        def read(hub, one):
            for _ in range(3):
                one.recv(1)  # woken inside a callback of the loop
                moved.append(hub.home._stack_saved)

        async def main(one, two):
            thread = threading.Thread(target=read, args=(hub_of(asyncio.get_running_loop()), one))
            thread.start()
            for _ in range(3):
                await asyncio.sleep(0.001)
                two.send(b"x")
            while thread.is_alive():
                await asyncio.sleep(0.001)

        loop = new_event_loop()
        one, two = socket.socketpair()
        with one, two:
            loop.run_until_complete(main(one, two))
        loop.close()
        print(*moved)
        """
    assert run(script) == ["0 0 0"]


def test_the_server_serves_in_a_patched_process():
    run("""
        import contextlib, http.client, logging, os, signal, socket, threading
        from greenwire import wsgi
        from greenwire.green import original

        together = threading.Barrier(20)

        def app(environ, start_response):
            together.wait(30)
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [threading.current_thread().name.encode()]

        def ask():
            with contextlib.closing(http.client.HTTPConnection(*sock.getsockname(), timeout=30)) as connection:
                connection.request("GET", "/")
                with connection.getresponse() as response:
                    answers.append(response.read())

        def client():
            threads = [threading.Thread(target=ask) for _ in range(20)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            os.kill(os.getpid(), signal.SIGTERM)

        answers = []
        sock = socket.create_server(("127.0.0.1", 0))
        real = original("threading.Thread")(target=client)
        real.start()
        wsgi.server(sock, app, log_output=False)
        real.join()
        assert len(answers) == 20 and all(answers)
    """)
