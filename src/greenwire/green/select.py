"""The module ``select``, whose ``select``, ``poll`` and ``epoll`` wait on the hub.

Whatever is asked, the system answers: each call first looks without waiting. Where nothing is ready the descriptors go
into an epoll of this call's own, and the loop watches that: it becomes readable when one of them is ready. So nobody
else who waits for one of them is in the way.
"""

import errno
import os
import select as _real
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from time import monotonic
from types import TracebackType
from typing import Any, TypeVar

from .hub import sleep
from .watch import watch_for

T = TypeVar("T")

_READABLE = _real.POLLIN | _real.POLLHUP | _real.POLLERR  # as Linux defines select by poll
_WRITABLE = _real.POLLOUT | _real.POLLERR
_STEP_S = 0.01  # where the system has no epoll
_LONG_S = 1e9  # numbers that are none, or larger: the real one says what is wrong with them
_LONG_MS = 2**31
# The originals, whatever the names mean later.
real_select: Any = _real.select
_poll: Any = _real.poll
_epoll: Any = getattr(_real, "epoll", None)

error = OSError


class _Group:
    """Several descriptors as one."""

    __slots__ = ("__weakref__", "_epoll")

    def __init__(self, masks: Mapping[int, int]) -> None:
        self._epoll = _epoll()
        try:
            for fd, mask in masks.items():
                self._epoll.register(fd, mask)
        except BaseException:
            self._epoll.close()
            raise

    def wait(self, seconds: float | None) -> None:
        watch = watch_for(self, self._epoll.fileno(), False)
        try:
            watch.wait(seconds)
        finally:
            watch.close()
            self._epoll.close()


def _wait_for_any(masks: Mapping[int, int], seconds: float | None) -> None:
    """Until one may be ready. May switch."""
    if _epoll is None:
        sleep(_STEP_S if seconds is None else min(seconds, _STEP_S))
        return
    try:
        group = _Group(masks)
    except OSError as failure:
        if failure.errno not in (errno.EPERM, errno.EBADF):  # a file on disk is always ready; closed: look again
            raise
        sleep(0)
    else:
        group.wait(seconds)


def _until(look: Callable[[], T], masks: Callable[[], Mapping[int, int]], seconds: float | None) -> T:
    """What *look* finds, once that is something, or after so many seconds. May switch."""
    end = None if seconds is None else monotonic() + seconds
    found = look()
    if found or seconds == 0:
        sleep(0)  # those who ask again and again must not keep others waiting
        return found
    while not found:
        left = None if end is None else end - monotonic()
        if left is not None and left <= 0:
            break
        _wait_for_any(masks(), left)
        found = look()
    return found


def _number(item: Any) -> int:
    return item if isinstance(item, int) else int(item.fileno())


class _Question:
    """What :func:`select` is asked, once more than the real one can hear: descriptors of any size."""

    def __init__(self, *lists: Sequence[Any]) -> None:
        self._lists = [[(item, _number(item)) for item in items] for items in lists]
        self.masks: dict[int, int] = {}
        for items, mask in zip(self._lists, (_real.POLLIN, _real.POLLOUT, _real.POLLPRI), strict=True):
            for _, fd in items:
                self.masks[fd] = self.masks.get(fd, 0) | mask
        self._poll = _poll()
        for fd, mask in self.masks.items():
            self._poll.register(fd, mask)

    def answer(self) -> tuple[list[Any], list[Any], list[Any]] | None:
        ready = dict(self._poll.poll(0))
        if any(bits & _real.POLLNVAL for bits in ready.values()):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        found = [
            [item for item, fd in items if ready.get(fd, 0) & bits]
            for items, bits in zip(self._lists, (_READABLE, _WRITABLE, _real.POLLPRI), strict=True)
        ]
        return (found[0], found[1], found[2]) if any(found) else None


def select(
    rlist: Iterable[Any], wlist: Iterable[Any], xlist: Iterable[Any], timeout: float | None = None, /
) -> tuple[list[Any], list[Any], list[Any]]:
    """``select.select``, for descriptors of any size. May switch."""
    if timeout is not None and not (isinstance(timeout, int | float) and 0 <= timeout < _LONG_S):
        real_select([], [], [], timeout)  # raises
    lists = [again(items) for items in (rlist, wlist, xlist)]
    question: _Question | None = None

    def look() -> tuple[list[Any], list[Any], list[Any]] | None:
        if question is not None:
            return question.answer()
        found = real_select(*lists, 0)
        return found if any(found) else None

    def ask() -> Mapping[int, int]:
        nonlocal question
        question = question or _Question(*lists)
        return question.masks

    try:
        found = _until(look, ask, timeout)
    except ValueError as failure:
        if question is not None or "out of range" not in str(failure):
            raise
        ask()
        found = _until(look, ask, timeout)
    return found or ([], [], [])


def again(items: Iterable[Any]) -> Any:
    """What can be iterated over once more."""
    return list(items) if isinstance(items, Iterator) else items


class Poll:
    """What ``select.poll()`` gives."""

    blocks = False  # waits as the original does
    _poll: Any
    _masks: dict[int, int]
    _asked: bool  # somebody waits here

    def __new__(cls) -> "Poll":
        """As that of ``select``, it is made by the function only."""
        raise TypeError(f"cannot create '{cls.__module__}.{cls.__name__}' instances")

    @classmethod
    def make(cls) -> "Poll":
        """For :func:`poll`."""
        self = super().__new__(cls)
        self._poll = _poll()
        self._masks = {}
        self._asked = False
        return self

    def register(self, fd: Any, eventmask: int = _real.POLLIN | _real.POLLPRI | _real.POLLOUT, /) -> None:
        """Ask for *fd*, too."""
        self._poll.register(fd, eventmask)
        self._masks[_number(fd)] = eventmask

    def modify(self, fd: Any, eventmask: int, /) -> None:
        """Ask something else of *fd*."""
        self._poll.modify(fd, eventmask)
        self._masks[_number(fd)] = eventmask

    def unregister(self, fd: Any, /) -> None:
        """Ask no more for *fd*."""
        self._poll.unregister(fd)
        del self._masks[_number(fd)]

    def poll(self, timeout: float | None = None, /) -> list[tuple[int, int]]:
        """What is ready, within so many *milliseconds*; ``None`` or less than zero: for ever. May switch."""
        if self.blocks or (timeout is not None and not (isinstance(timeout, int | float) and timeout < _LONG_MS)):
            found: list[tuple[int, int]] = self._poll.poll(timeout)  # the wrong number: raises
            return found
        if self._asked:
            raise RuntimeError("concurrent poll() invocation")
        self._asked = True
        seconds = None if timeout is None or timeout < 0 else timeout / 1000
        try:
            return _until(lambda: self._poll.poll(0), lambda: self._masks, seconds)
        finally:
            self._asked = False


poll = Poll.make  # not a function, which would become a method where a class holds it


class epoll:
    """``select.epoll()``, where the system has it."""

    blocks = False  # waits as the original does

    def __init__(self, sizehint: int = -1, flags: int = 0) -> None:
        self._epoll = _epoll(sizehint, flags)

    @classmethod
    def fromfd(cls, fd: int, /) -> "epoll":
        """Around one that is there already."""
        self = cls.__new__(cls)
        self._epoll = _epoll.fromfd(fd)
        return self

    def __getattr__(self, name: str) -> Any:  # register, modify, unregister, fileno, close, closed
        return getattr(self._epoll, name)

    def poll(self, timeout: float | None = None, maxevents: int = -1) -> list[tuple[int, int]]:
        """What is ready, within so many seconds; ``None`` or less than zero: for ever. May switch."""
        if self.blocks or (timeout is not None and not (isinstance(timeout, int | float) and timeout < _LONG_S)):
            found: list[tuple[int, int]] = self._epoll.poll(timeout, maxevents)  # the wrong number: raises
            return found
        seconds = None if timeout is None or timeout < 0 else timeout
        mask = {self._epoll.fileno(): _real.POLLIN}
        return _until(lambda: self._epoll.poll(0, maxevents), lambda: mask, seconds)

    def __enter__(self) -> "epoll":
        self._epoll.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._epoll.close()


def __getattr__(name: str) -> Any:
    return getattr(_real, name)
