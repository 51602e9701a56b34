"""The greenlets of a hub, and what they run.

A worker takes job after job, without a switch between two that do not wait. One that waits holds as little of the C
stack as can be: no call in here leads through C while a job runs.
"""

import contextvars
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from greenlet import GreenletExit, greenlet

from ..errors import NotRunningError

if TYPE_CHECKING:
    from .hub import Hub, Waiter

log = logging.getLogger("greenwire")


class HubClosedError(NotRunningError):
    """The event loop was closed while a green thread waited on it."""


class Job:
    """One function that a worker runs: also what a green thread is known by while it runs."""

    __slots__ = ("__weakref__", "abandon", "args", "context", "fn", "ident", "worker")

    ident: int  # of the thread that others take it for; set when somebody asks

    def __init__(
        self,
        context: contextvars.Context,
        fn: Callable[..., object],
        args: tuple[Any, ...],
        abandon: Callable[[BaseException], object] | None = None,
    ) -> None:
        self.context = context
        self.fn = fn
        self.args = args
        self.abandon = abandon  # what to call where it will never run
        self.worker: Worker | None = None  # while it runs

    def run(self) -> None:
        """In a worker."""
        self.fn(*self.args)


def do_nothing() -> None:
    """What an ended job does."""


class Worker(greenlet):
    """A pooled greenlet."""

    __slots__ = ("hub", "job", "pending", "waiter")

    def __init__(self, hub: "Hub") -> None:
        super().__init__(parent=hub.home)
        self.hub = hub
        self.job: Job | None = None
        self.waiter: Waiter | None = None  # while its job waits
        self.pending: BaseException | None = None  # thrown while it could not take it: the next wait raises it

    def run(self) -> None:
        hub = self.hub
        while True:
            job = hub.next_job()
            if job is not None:
                self._do(job)
                job = None  # keep nothing alive while idle
            elif hub.rests(self):
                hub.home.switch()
            else:
                break
        self.leave()

    def leave(self) -> None:
        """The end of a greenlet leads to its parent."""
        self.parent = self.hub.home

    def _do(self, job: Job) -> None:
        self.job = job
        job.worker = self
        try:
            self.gr_context = job.context  # and not its ``run``: that would cost each that waits 0.5 KB of stack
            job.run()
        except (GreenletExit, HubClosedError):
            pass
        except KeyboardInterrupt:  # belongs to whoever runs the loop
            self.parent = self.hub.home
            self.hub.workers.discard(self)
            raise
        except BaseException:  # also SystemExit: as in a thread, it ends this one and not the process
            log.exception("green thread %r failed", job.fn)
        finally:
            job.worker = self.job = self.pending = self.gr_context = None
            job.fn, job.args, job.abandon = do_nothing, (), None  # a green thread and its job hold each other

    def throw_into(self, error: BaseException) -> None:
        """Have the job's wait raise *error*: the present one, or the next. The hub's thread only."""
        if self.waiter is not None and self.waiter.error is None:
            self.waiter.throw(error)
        else:  # two at once: one after the other
            self.pending = error
