"""The module ``time``, whose ``sleep`` lets other green threads run."""

import time as _real
from typing import Any

from . import hub as _hub

__all__ = [name for name in vars(_real) if not name.startswith("_")]


def sleep(seconds: float, /) -> None:
    """``time.sleep``. May switch."""
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    _hub.sleep(seconds)


def __getattr__(name: str) -> Any:
    return getattr(_real, name)
