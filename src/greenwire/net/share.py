"""How many connections each worker has, in memory that all of them see; and who lets others go first.

Workers accept from the same sockets, and the kernel wakes them in no fair order: of a thousand clients that come at
once one worker took 389 and another 103. Connections live long here, so that stays. A worker that has clearly more
than another one therefore waits a moment before it accepts. It does not wait for anybody: when the moment is over it
takes what is still there, whoever hangs.
"""

from mmap import mmap

WORKERS = 128  # those with a higher number just accept
HEAD_START_S = 0.001
_SPARE = 8  # so many more are no reason to wait; or an eighth more, where that is more


def new_memory() -> mmap:
    """For all workers of a supervisor; made before they are."""
    return mmap(-1, 4 * WORKERS)


class Share:
    """The place of worker *number* in *memory*."""

    def __init__(self, memory: mmap, number: int) -> None:
        self._counts = memoryview(memory).cast("I")  # 0: nobody is there, else one more than the connections
        self._number = number if number < WORKERS else None

    def tell(self, count: int) -> None:
        """This worker has so many connections, and accepts."""
        if self._number is not None:
            self._counts[self._number] = count + 1

    def leave(self) -> None:
        """This worker accepts no more."""
        if self._number is not None:
            self._counts[self._number] = 0

    def gives_way(self, count: int) -> bool:
        """Whether a worker with so many connections should let another one go first."""
        least = min(filter(None, self._counts), default=1) - 1
        return count > least + max(_SPARE, least // 8)
