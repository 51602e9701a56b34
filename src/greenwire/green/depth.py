"""Where on the C stack a greenlet is born, and why that must be far below the loop.

Greenlets share one C stack: what of another's stack lies deeper than where a greenlet was born is moved away while it
runs. While uvloop calls a callback, libuv keeps the list of events that it is going through in a frame on that stack,
and each ``add_reader``, ``remove_reader`` and cancelled timer looks into it (``uv__platform_invalidate_fd``). If the
callback has switched to a greenlet that was born no deeper than that frame, libuv reads, and writes, into whatever lies
there now: the process dies, seldom, and somewhere else.

So greenlets are born with the stack so much deeper that the loop's frames stay where they are. That is cheaper, too:
nothing of the loop's stack has to be moved away and back at each switch.
"""

from collections.abc import Callable

# ``list.sort`` has the largest frame that the interpreter offers, some 4 KB; libuv's list of events takes 12 KB, and
# a loop may be run somewhat deeper the next time.
_LEVELS = 16


def from_below(start: Callable[[], object], levels: int = _LEVELS) -> None:
    """Call *start* with the C stack some 64 KB deeper."""
    if not levels:
        start()
        return

    def key(_: object) -> int:
        from_below(start, levels - 1)
        return 0

    [None].sort(key=key)
