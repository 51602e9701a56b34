"""What test clients have in the place of a service: no network, no threads, no time that passes by itself.

The real Socket.IO server is bound to a *loop* that does at once what it is asked, in the thread that asks. What a
thread causes is run by that thread: handlers wait in a queue of its own until its outermost call into the server
is over, and then run in order. So nothing happens at the same time, and when a call of a test client returns,
everything that it has caused is done. What handlers raise is raised there, too.
"""

import asyncio
import contextvars
import heapq
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

from ..engineio.packet import Outgoing, decode_payload
from ..engineio.session import Reason
from ..errors import RemoteProtocolError
from ..runners import start_thread
from ..socketio.server import Server
from .given import GivenRequest

if TYPE_CHECKING:
    from ..socketio.client import Client

T = TypeVar("T")
log = logging.getLogger("greenwire")
Parts = list[str | bytes]


class _Mine(threading.local):
    """One thread's."""

    def __init__(self) -> None:
        self.depth = 0  # of calls into the server
        self.calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self.failures: list[BaseException] = []
        self.in_coroutine = False


class InlineLoop:
    """Stands in for the event loop, the runners and the log. Its clock is moved by hand."""

    description = "at once, in the thread of the test"
    queued = 0

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._mine = _Mine()
        self._clock = 0.0
        self._timers: list[tuple[float, int, Timer]] = []
        self._serial = count()

    # --- a loop

    def now(self) -> float:
        """Seconds that the test has let pass."""
        return self._clock

    @property
    def here(self) -> bool:
        """Whether the caller is a coroutine: it must not wait."""
        return self._mine.in_coroutine

    def ask(self, fn: Callable[..., T], *args: Any) -> T:
        mine = self._mine
        mine.depth += 1
        try:
            with self._lock:
                result = fn(*args)
        finally:
            mine.depth -= 1
        self.settle()
        return result

    def post(self, fn: Callable[..., object], *args: Any) -> None:
        self.ask(fn, *args)

    def call_later(self, delay_s: float, fn: Callable[..., object], *args: Any) -> "Timer":
        timer = Timer(fn, args)
        heapq.heappush(self._timers, (self._clock + delay_s, next(self._serial), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Let time pass, and have done what falls due."""
        end = self._clock + seconds
        while self._timers and self._timers[0][0] <= end:
            self._clock, _, timer = heapq.heappop(self._timers)
            if timer.fn is not None:
                self.post(timer.fn, *timer.args)
        self._clock = end

    # --- a runner

    def start(self, fn: Callable[..., object], *args: Any) -> None:
        self._mine.calls.append((fn, args))

    def settle(self, *, nested: bool = False) -> None:
        """Run what this thread has caused, unless it is about to. Raises the first exception of a handler."""
        mine = self._mine
        if mine.depth and not nested:
            return
        mine.depth += 1
        try:
            while mine.calls:
                fn, args = mine.calls.popleft()
                fn(*args)
        except BaseException:  # not a handler's failure, which is an Exception: the test itself is to end
            mine.calls.clear()
            mine.failures.clear()
            raise
        finally:
            mine.depth -= 1
        if mine.failures and not mine.depth:
            failures, mine.failures = mine.failures, []
            raise failures[0]

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def background(self, fn: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]) -> threading.Thread:
        return start_thread(fn, args, kwargs)

    def busy(self) -> int:
        return 0

    def stop(self) -> None:
        self._mine.calls.clear()

    # --- a log

    def warning(self, key: str, message: str, *args: object) -> None:
        log.warning(message, *args)

    def error(self, key: str, exception: BaseException, message: str, *args: object) -> None:
        """A handler has failed: whoever caused it is to know."""
        self._mine.failures.append(exception)

    # --- for coroutines

    def finish(self, coroutine: Coroutine[Any, Any, object]) -> None:
        """Run *coroutine* to its end, on an event loop of its own."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._finish_here(coroutine)
        else:  # the test is a coroutine itself
            self._finish_elsewhere(coroutine)

    def _finish_here(self, coroutine: Coroutine[Any, Any, object]) -> None:
        mine = self._mine
        mine.in_coroutine = True
        try:
            asyncio.run(coroutine)
        finally:
            mine.in_coroutine = False

    def _finish_elsewhere(self, coroutine: Coroutine[Any, Any, object]) -> None:
        """In a thread, as two event loops do not go together in one. What it causes is ours."""
        calls, failures = self._mine.calls, self._mine.failures

        def run() -> None:
            theirs = self._mine
            theirs.depth = 1
            self._finish_here(coroutine)
            calls.extend(theirs.calls)
            failures.extend(theirs.failures)

        thread = threading.Thread(target=contextvars.copy_context().run, args=(run,))
        thread.start()
        thread.join()


class InlineTasks:
    """Stands in for the runner of coroutines."""

    def __init__(self, loop: InlineLoop) -> None:
        self._loop = loop

    def start(self, coroutine: Coroutine[Any, Any, object]) -> None:
        self._loop.start(self._loop.finish, coroutine)


class Timer:
    """A call that waits for its time."""

    __slots__ = ("args", "fn")

    def __init__(self, fn: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.fn: Callable[..., object] | None = fn
        self.args = args

    def cancel(self) -> None:
        self.fn = None
        self.args = ()


class MemoryPeer:
    """An Engine.IO session without a network: what is sent is encoded, and decoded for *deliver*."""

    transport = "websocket"
    writable = True

    def __init__(self, site: "MemorySite", sid: str, environ: dict[str, Any], deliver: Callable[[Parts], None]) -> None:
        self.sid = sid
        self.request = GivenRequest(environ)
        self.opened_at = site.loop.now()
        self.owner: Any = None
        self.on_message: Callable[[Any, str | bytes], None] = _nobody
        self.on_close: Callable[[Any, Reason], None] = _nobody
        self._site = site
        self._deliver = deliver

    def send(self, packet: Outgoing) -> None:
        """One packet and its attachments, in the form that a polling client gets."""
        parts: Parts = [part[1:] if isinstance(part, str) else part for part in decode_payload(packet.payload)]
        self._deliver(parts)

    def receive(self, packet: Outgoing) -> None:
        """A packet of the client's, and its attachments."""
        for part in decode_payload(packet.payload):
            self.on_message(self.owner, part[1:] if isinstance(part, str) else part)

    def close(self, reason: Reason = Reason.SERVER) -> None:
        if self._site.remove(self):
            self.on_close(self.owner, reason)

    def pause(self) -> None:
        """Nothing: a test client waits for each of its calls anyway."""

    def resume(self) -> None:
        """Nothing was held."""


class MemorySite:
    """The process that test clients of one ``SocketIO`` share: its server runs while there are any."""

    def __init__(self, core: Server, on_empty: Callable[[], None]) -> None:
        self.loop = InlineLoop()
        self.peers: dict[str, MemoryPeer] = {}
        self._core = core
        self._on_empty = on_empty
        self._dispatcher = core.bind(self.loop, self.loop, InlineTasks(self.loop), self.loop, self._bad_client)

    def open(self, sid: str, environ: dict[str, Any], deliver: Callable[[Parts], None]) -> MemoryPeer:
        """A new session."""
        peer = MemoryPeer(self, sid, environ, deliver)
        self.peers[sid] = peer
        self.loop.post(self._dispatcher.opened, peer)
        return peer

    def client(self, peer: MemoryPeer) -> "Client | None":
        """What the server knows of a session."""
        return self._dispatcher.client_of(peer)

    def remove(self, peer: MemoryPeer) -> bool:
        """A session is over. ``False``: it was before."""
        return self.peers.pop(peer.sid, None) is not None

    def settle(self) -> None:
        """A test client has closed: where it was the last, the server does not run any more."""
        if not self.peers:
            self._core.unbind()
            self._on_empty()

    def forget(self, peer: MemoryPeer) -> None:
        """A test has dropped its client without closing it. No handler is called at such a time."""
        if self.remove(peer):
            client = self.client(peer)
            if client is not None:
                self.loop.post(self._dispatcher.forget, client)
            self.settle()

    def _bad_client(self, peer: Any, error: RemoteProtocolError) -> None:
        self.loop.error("client", error, "")
        peer.close(Reason.PARSE_ERROR)


def _nobody(*_: object) -> None:
    pass
