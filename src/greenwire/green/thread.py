"""Green threads: a function that runs in a greenlet of the pool, and the handle that its starter gets."""

import asyncio
import contextvars
import logging
from collections import deque
from collections.abc import Callable, Generator
from enum import Enum
from functools import partial
from threading import get_ident
from typing import Any, Generic, ParamSpec, TypeVar

from greenlet import GreenletExit

from .hub import Hub, Waiter, identity, starting_hub, throw
from .worker import HubClosedError, Job, do_nothing

P = ParamSpec("P")
T = TypeVar("T")
log = logging.getLogger("greenwire")


class Life(Enum):
    """Of a green thread."""

    WAITING = "not started"
    RUNNING = "running"
    ENDED = "ended"


_ENDED = Job(contextvars.Context(), do_nothing, ())


class GreenThread(Generic[T]):
    """A function that was given to :func:`spawn`. Also awaitable, in a coroutine."""

    __slots__ = ("__weakref__", "_job", "_links", "error", "hub", "life", "result")

    def __init__(
        self,
        hub: Hub,
        fn: Callable[..., T],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        context: contextvars.Context,
    ) -> None:
        self.hub = hub
        self.life = Life.WAITING
        self.result: T | None = None
        self.error: BaseException | None = None
        self._links: deque[Callable[[GreenThread[T]], object]] = deque()
        self._job = Job(context, self._main, (fn, args, kwargs), self._end_with)

    def __repr__(self) -> str:
        return f"<GreenThread {self._job.args[0] if self._job.args else ''!r}, {self.life.value}>"

    def _main(self, fn: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self.life is Life.ENDED:  # killed or cancelled before it began
            return
        self.life = Life.RUNNING
        try:
            self.result = fn(*args, **kwargs)
        except KeyboardInterrupt as error:
            self._end_with(error)
            raise
        except BaseException as error:
            # Logged where nobody has asked for it so far. That a loop was closed is no news for its log.
            if not self._links and not isinstance(error, GreenletExit | HubClosedError):
                log.exception("green thread %r failed", fn)
            self._end_with(error)
        else:
            self._end_with(None)

    def _end_with(self, error: BaseException | None) -> None:
        if self.life is Life.ENDED:
            return
        self.error = error
        self.life = Life.ENDED
        job, self._job = self._job, _ENDED  # with which goes what it has in each ``local``
        job.fn, job.args = do_nothing, ()  # what it was given is free again
        self._tell()

    def _tell(self) -> None:
        while True:
            try:
                link = self._links.popleft()
            except IndexError:
                return
            try:
                link(self)
            except Exception:
                log.exception("a function linked to a green thread failed: %r", link)

    # --- for others, in any thread

    @property
    def dead(self) -> bool:
        """Whether it has ended."""
        return self.life is Life.ENDED

    def __bool__(self) -> bool:
        """Whether it has not ended."""
        return self.life is not Life.ENDED

    def link(self, fn: Callable[..., object], *args: Any, **kwargs: Any) -> Callable[..., object]:
        """Have ``fn(self, *args)`` called at the end, at once where that was before. Gives what ``unlink`` takes."""
        link = partial(_call_with_thread_first, fn, args, kwargs) if args or kwargs else fn
        self._links.append(link)
        if self.life is Life.ENDED:
            self._tell()
        return link

    def unlink(self, link: Callable[..., object]) -> bool:
        """Take a link back. ``False`` where it was called before."""
        try:
            self._links.remove(link)
        except ValueError:
            return False
        return True

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end; whether it came in time. May switch."""
        if self.life is Life.ENDED:
            return True
        waiter = Waiter()
        wake = waiter.wake
        self.link(wake)
        try:
            return waiter.wait(timeout)
        finally:
            self.unlink(wake)

    def wait(self, timeout: float | None = None) -> T:
        """What the function returned, or raise what it raised; ``TimeoutError`` where it takes too long. May switch."""
        if not self.join(timeout):
            raise TimeoutError(f"{self!r} has not ended in {timeout} s")
        return self._outcome()

    def _outcome(self) -> T:
        if self.error is not None:
            raise self.error
        return self.result  # type: ignore[return-value]  # ended without error: it is what the function returned

    def kill(self, error: BaseException | type[BaseException] = GreenletExit) -> None:
        """Have it raise *error* where it waits, or never begin. Its ``finally`` blocks run, in a later turn.

        A green thread that kills itself raises at once; for its end, :meth:`join` it.
        """
        exception = error() if isinstance(error, type) else error
        if get_ident() != self.hub.thread:
            self.hub.call(self._kill, exception)
        elif self.life is Life.RUNNING and identity() is self._job:
            raise exception
        else:
            self._kill(exception)

    def _kill(self, error: BaseException) -> None:
        if self.life is Life.WAITING:
            self._end_with(error)
        elif self.life is Life.RUNNING:
            throw(self._job, error, self.hub)

    def cancel(self) -> bool:
        """Keep it from beginning. ``False`` where it has begun. The hub's thread only."""
        if self.life is not Life.WAITING:
            return False
        self._end_with(GreenletExit("cancelled"))
        return True

    @classmethod
    def of(cls, fn: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> "GreenThread[T]":
        """One that its maker will start, in a copy of its context."""
        return cls(starting_hub(), fn, args, kwargs, contextvars.copy_context())

    def run_here(self) -> None:
        """Run at once, in the caller's own place, which waits for the end."""
        self.link(_nothing)  # the maker looks at the outcome
        self._main(*self._job.args)

    def start(self) -> None:
        """Run in the next turn. For those who made it; :func:`spawn` has done it. From any thread."""
        self.hub.start(self._job)

    def __await__(self) -> Generator[Any, None, T]:
        future = self.as_future()
        yield from future
        return self._outcome()

    def as_future(self) -> "asyncio.Future[None]":
        """Done when this ends; to cancel it kills this. Carries no exception: look here for it."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        aio = future.get_loop()

        def ended(_: object) -> None:
            aio.call_soon_threadsafe(_finish, future)

        def cancelled(_: object) -> None:
            if future.cancelled():
                self.unlink(ended)
                self.kill()

        future.add_done_callback(cancelled)
        self.link(ended)
        return future


def _call_with_thread_first(
    fn: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any], thread: object
) -> None:
    fn(thread, *args, **kwargs)


def _nothing(_: object) -> None:
    pass


def _finish(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def spawn(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> GreenThread[T]:
    """Run ``fn(*args, **kwargs)`` in a green thread, from the next turn on, in a copy of the caller's context."""
    thread = GreenThread(starting_hub(), fn, args, kwargs, contextvars.copy_context())
    thread.hub.start(thread._job)
    return thread


def spawn_n(fn: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Like :func:`spawn`, for a function whose end nobody waits for. What it raises is logged."""
    call = partial(fn, **kwargs) if kwargs else fn
    starting_hub().start(Job(contextvars.copy_context(), call, args))


def spawn_after(seconds: float, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> GreenThread[T]:
    """Like :func:`spawn`, *seconds* later; until then it can be cancelled."""
    hub = starting_hub()
    thread = GreenThread(hub, fn, args, kwargs, contextvars.copy_context())
    timer = hub.aio.call_later(max(seconds, 0), thread.start, context=hub.context)
    thread.link(lambda _: timer.cancel())
    return thread


def kill(thread: GreenThread[Any], error: BaseException | type[BaseException] = GreenletExit) -> None:
    """:meth:`GreenThread.kill`."""
    thread.kill(error)


async def to_green(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run plain blocking code in a green thread, from a coroutine. To cancel the coroutine kills it."""
    return await spawn(fn, *args, **kwargs)
