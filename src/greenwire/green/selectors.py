"""The module ``selectors``, whose selectors wait on the hub."""

import selectors as _real
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector, SelectorKey
from typing import Any

from . import select as green_select

__all__ = ["EVENT_READ", "EVENT_WRITE", "BaseSelector", "DefaultSelector", "SelectorKey"]
__all__ += ["PollSelector", "SelectSelector"]


class SelectSelector(_real.SelectSelector):
    """Over ``select``."""

    _select = staticmethod(green_select.select)


class PollSelector(_real.PollSelector):
    """Over ``poll``."""

    _selector_cls = green_select.poll


DefaultSelector: type[BaseSelector] = PollSelector

if hasattr(_real, "EpollSelector"):

    class EpollSelector(_real.EpollSelector):
        """Over ``epoll``."""

        _selector_cls = green_select.epoll

    DefaultSelector = EpollSelector
    __all__ += ["EpollSelector"]


def __getattr__(name: str) -> Any:
    return getattr(_real, name)
