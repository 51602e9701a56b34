"""Green threads that go on when their event loop is closed: ``while True: try: sleep(1) except: pass``.

Each wait on a closed loop raises ``GreenletExit``. One that has caught so many is left standing where it would wait,
for ever, as a daemon thread is at the end of the process: the loop has to be closed some time.
"""

import logging
from collections import Counter
from typing import TYPE_CHECKING, NoReturn

from greenlet import GreenletExit

if TYPE_CHECKING:
    from .worker import Worker

log = logging.getLogger("greenwire")

_PATIENCE = 100  # waits: each ``finally`` block may try one


class Refusals:
    """Of one hub that is closed."""

    def __init__(self) -> None:
        self._number: Counter[Worker] = Counter()

    def refuse(self, worker: "Worker") -> NoReturn:
        """*worker*, the caller, may not wait. It was told before, with an error, and waits again."""
        self._number[worker] += 1
        if self._number[worker] <= _PATIENCE:
            raise GreenletExit("the event loop is closed")
        del self._number[worker]
        fn = worker.job and worker.job.fn
        log.error("green thread %r does not end with its event loop, and is left standing", fn)
        worker.hub.workers.discard(worker)
        while True:  # its own stack holds it: it is never freed, which would have it go on
            worker.hub.home.switch()
