"""The module ``selectors``, whose selectors wait on the hub.

An event loop that was given one of them is not kept from its work: where the running loop asks its own selector, that
waits as the original does, or beside the green threads of a thread that has some.
"""

import selectors as _real
from asyncio import events
from collections.abc import Iterator
from contextlib import contextmanager
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector, SelectorKey
from typing import Any

from . import hub as hubs
from . import select as green_select

__all__ = ["EVENT_READ", "EVENT_WRITE", "BaseSelector", "DefaultSelector", "SelectorKey"]
__all__ += ["PollSelector", "SelectSelector"]

_Ready = list[tuple[SelectorKey, int]]


@contextmanager
def _beside_another_loop() -> Iterator[bool]:
    """While the event loop that runs here waits in the block, the green threads of this thread's own hub go on.

    Gives whether there are any. The loop is taken for one that does not run, so that the hub's may.
    """
    hub = hubs._own.hub
    running = events._get_running_loop()
    if hub is None or hub.closed or not hub.busy or running is hub.aio:
        yield False
        return
    events._set_running_loop(None)
    try:
        yield True
    finally:
        events._set_running_loop(running)


@contextmanager
def _asked(selector: BaseSelector) -> Iterator[bool]:
    """Gives whether *selector* shall wait as the original does."""
    if getattr(events._get_running_loop(), "_selector", None) is selector:
        with _beside_another_loop() as there_are_some:
            yield not there_are_some
    else:
        yield False


class SelectSelector(_real.SelectSelector):
    """Over ``select``."""

    _select: Any = staticmethod(green_select.select)

    def select(self, timeout: float | None = None) -> _Ready:
        """What is ready, within so many seconds. May switch."""
        with _asked(self) as blocks:
            self._select = green_select.real_select if blocks else green_select.select
            return super().select(timeout)


class PollSelector(_real.PollSelector):
    """Over ``poll``."""

    _selector_cls = staticmethod(green_select.poll)
    _selector: green_select.Poll

    def select(self, timeout: float | None = None) -> _Ready:
        """What is ready, within so many seconds. May switch."""
        with _asked(self) as self._selector.blocks:
            return super().select(timeout)


DefaultSelector: type[BaseSelector] = PollSelector

if hasattr(_real, "EpollSelector"):

    class EpollSelector(_real.EpollSelector):
        """Over ``epoll``."""

        _selector_cls = green_select.epoll
        _selector: green_select.epoll

        def select(self, timeout: float | None = None) -> _Ready:
            """What is ready, within so many seconds. May switch."""
            with _asked(self) as self._selector.blocks:
                return super().select(timeout)

    DefaultSelector = EpollSelector
    __all__ += ["EpollSelector"]


def __getattr__(name: str) -> Any:
    return getattr(_real, name)
