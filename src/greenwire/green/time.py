"""The module ``time``, whose ``sleep`` lets other green threads run."""

import time as _real
from typing import Any

from . import hub as _hub

_stand_still = _real.sleep  # as it was before patch()

__all__ = [name for name in vars(_real) if not name.startswith("_")]


def sleep(seconds: float, /) -> None:
    """``time.sleep``. May switch."""
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    if _hub.alone():  # a thread that only sleeps needs no event loop for it, nor its descriptors
        _stand_still(seconds)
    else:
        _hub.sleep(seconds)


def __getattr__(name: str) -> Any:
    return getattr(_real, name)
