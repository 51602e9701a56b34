"""``patch()`` itself: what it replaces, what it leaves, and what it says when it comes late."""

import pytest
from patched import run


@pytest.fixture(autouse=True)
def hub():
    """Each test has a process of its own, and no hub here."""


def test_the_second_call_does_nothing_more():
    run("""
        import _thread, select, selectors, socket, ssl, subprocess, threading, time
        modules = [_thread, select, selectors, socket, ssl, subprocess, threading, time]
        before = [dict(vars(module)) for module in modules]
        patch()
        assert [dict(vars(module)) for module in modules] == before
    """)


def test_an_area_can_be_left_out_and_patched_later():
    run(
        """
        from greenwire import green
        import threading, time
        real = [threading.Lock]
        green.patch(thread=False)
        assert green.is_patched("time") and not green.is_patched("thread") and threading.Lock is real[0]
        green.patch()
        assert green.is_patched("thread") and threading.Lock is not real[0]
        """,
        before="",
    )


def test_an_unknown_area_is_an_error():
    run(
        """
        from greenwire import green
        try:
            green.patch(sockets=True)
        except TypeError as error:
            assert "socket," in str(error) and "sockets" in str(error)
        assert not green.is_patched("time")
        """,
        before="",
    )


def test_is_patched_knows_areas_modules_and_names():
    run(
        """
        from greenwire import green
        names = ["thread", "threading", "threading.Thread", "_thread.allocate_lock", "time", "time.sleep",
                 "queue.Queue", "socket.socket", "socket.create_connection", "ssl", "select.epoll",
                 "selectors.DefaultSelector"]
        never = ["time.monotonic", "json", "socket.AF_INET", "asyncio", "os.path", "nonsense"]
        assert not any(map(green.is_patched, names + never))
        green.patch()
        assert [name for name in names if not green.is_patched(name)] == []
        assert [name for name in never if green.is_patched(name)] == []
        """,
        before="",
    )


def test_the_original_modules_are_there_before_and_after():
    run(
        """
        import time, socket, threading
        real = dict(sleep=time.sleep, socket=socket.socket, lock=threading.Lock)
        from greenwire.green import original, patch
        early = original("threading")
        patch()
        assert original("time.sleep") is real["sleep"] and original("socket").socket is real["socket"]
        assert original("threading") is early and early.Lock is real["lock"]
        assert original("threading.Thread") is early.Thread is not threading.Thread
        pair = original("socket").socketpair()
        assert original("socket").create_connection is not socket.create_connection
        assert all(type(one) is real["socket"] for one in pair)
        assert original("json").dumps([1]) == "[1]"
        pair[0].close(), pair[1].close()
        """,
        before="",
    )


def test_an_original_thread_is_a_real_one_and_the_end_of_the_process_waits_for_it():
    lines = run("""
        import threading
        from greenwire.green import original
        real = original("threading")

        def work():
            assert threading.get_native_id() != main
            assert threading.current_thread() is thread
            started.set()
            go_on.acquire()
            original("time.sleep")(0.05)
            print("done", flush=True)

        main = threading.get_native_id()
        started, go_on = real.Event(), threading.Lock()
        go_on.acquire()
        thread = real.Thread(target=work)
        thread.start()
        assert started.wait(30)
        print("end of script", flush=True)
        go_on.release()  # a green lock wakes a real thread
    """)
    assert lines == ["end of script", "done"]


def test_nothing_is_removed():
    run(
        """
        import _thread, os, queue, select, selectors, socket, ssl, subprocess, threading, time
        modules = [_thread, os, queue, select, selectors, socket, ssl, subprocess, threading, time]
        before = [set(vars(module)) for module in modules]
        from greenwire.green import patch
        patch()
        for module, names in zip(modules, before):
            assert names <= set(vars(module)), (module, names - set(vars(module)))
            for name in names:
                assert callable(getattr(module, name)) or not name.islower() or not name.startswith("poll")
        """,
        before="",
    )


def test_a_late_call_names_modules_and_names(tmp_path):
    (tmp_path / "early.py").write_text("from time import sleep\nfrom threading import Lock as Latch, Event\n")
    run(
        """
        import warnings
        import early
        from socket import socket
        from greenwire.green import patch
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            patch()
        text = str(caught[0].message)
        assert len(caught) == 1 and caught[0].filename == "<string>", caught
        for part in ("early.sleep is time.sleep", "early.Latch is threading.Lock", "__main__.socket is socket.socket"):
            assert part in text, text
        assert "Event" not in text, text
        """,
        before="",
        path=tmp_path,
    )


def test_modules_of_the_standard_library_that_were_imported_before_are_seen_to():
    run(
        """
        import socketserver, http.client, http.server, logging.config, urllib.request, concurrent.futures.thread
        import selectors
        from greenwire.green import patch
        patch()
        assert socketserver._ServerSelector is selectors.PollSelector
        """,
        before="",
    )


def test_usual_packages_may_be_imported_after():
    run("""
        import flask, werkzeug.serving, jinja2, click, sqlite3, email, http.server, xmlrpc.client, multiprocessing.pool
        import concurrent.futures.process, logging.handlers, asyncio.subprocess
        from greenwire.flask import SocketIO
    """)


def test_asyncio_and_others_that_run_loops_and_threads_keep_the_real_modules():
    run("""
        import asyncio.base_events, asyncio.selector_events, asyncio.unix_events, multiprocessing.connection
        import concurrent.futures.process, concurrent.futures.thread, multiprocessing.queues
        import selectors, socket, threading, time
        from greenwire.green import original
        from greenwire import loop, runners
        for module in (asyncio.base_events, asyncio.selector_events, asyncio.unix_events, runners):
            for name in ("selectors", "socket", "threading", "time", "subprocess"):
                assert getattr(module, name, None) in (None, original(name)), (module, name)
        assert multiprocessing.connection._WaitSelector is original("selectors.PollSelector")
        assert loop.Lock is original("threading.Lock")
        loop = asyncio.SelectorEventLoop()
        assert type(loop._selector) is original("selectors.DefaultSelector")
        assert type(loop._ssock) is original("socket.socket")
        loop.close()
    """)


def test_a_module_that_is_imported_anew_is_patched_again():
    run("""
        import sys
        for name in ("queue", "_queue", "select", "selectors"):
            old = sys.modules.pop(name)
            new = __import__(name)
            assert new is not old and new.__spec__.loader is new.__loader__, name
            for one in ("SimpleQueue", "poll", "DefaultSelector"):
                assert getattr(new, one, None) is getattr(old, one, None), (name, one)
    """)


def test_a_context_that_was_made_before_makes_green_sockets():
    run(
        """
        import ssl
        context = ssl.create_default_context()
        from greenwire.green import patch
        patch()
        from greenwire.green.ssl import SSLSocket
        assert context.sslsocket_class is SSLSocket is ssl.SSLSocket
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_COMPRESSION
        """,
        before="",
    )


def test_import_patched_gives_one_module_green_names_and_nobody_else():
    run(
        """
        from greenwire import green
        import http.client, socket, sys, time
        before = dict(sys.modules)
        patched = green.import_patched("http.client")
        assert patched is not http.client and sys.modules["http.client"] is http.client
        assert patched.socket is green.socket and http.client.socket is socket
        assert sys.modules["socket"] is socket and not green.is_patched("socket")
        assert {name: sys.modules[name] for name in before} == before
        """,
        before="import greenwire.green.socket\n",
    )


def test_a_call_that_waits_lets_others_run():
    run("""
        import os, queue, select, socket, subprocess, threading, time
        ticks = []

        def tick():
            while not stop:
                ticks.append(None)
                time.sleep(0.001)

        def ticked(wait):
            ticks.clear()
            wait()
            return bool(ticks)

        one, other = socket.socketpair()
        one.settimeout(0.02)
        stop = False
        thread = threading.Thread(target=tick)
        thread.start()
        empty = queue.Queue(), queue.SimpleQueue(), threading.Event(), threading.Lock(), threading.Condition()
        empty[3].acquire(); empty[4].acquire()
        def run_a_child():
            "It ends when its input does, after a tick: one that ended by the clock might have done so before we wait."
            end, start = os.pipe()
            def close():
                while not ticks:
                    time.sleep(0)
                os.close(start)
            closing = threading.Thread(target=close)
            closing.start()
            subprocess.run(["cat"], stdin=end)
            closing.join()
            os.close(end)
        def timed_out(wait, *errors):
            try:
                wait()
            except errors:
                pass
        waits = [
            lambda: time.sleep(0.02),
            lambda: timed_out(lambda: one.recv(1), TimeoutError),
            lambda: select.select([one], [], [], 0.02),
            lambda: timed_out(lambda: empty[0].get(timeout=0.02), queue.Empty),
            lambda: timed_out(lambda: empty[1].get(timeout=0.02), queue.Empty),
            lambda: empty[2].wait(0.02),
            lambda: empty[3].acquire(timeout=0.02),
            lambda: empty[4].wait(0.02),
            run_a_child,
        ]
        for number, wait in enumerate(waits):
            assert ticked(wait), number
        stop = True
        one.close(), other.close()
    """)
