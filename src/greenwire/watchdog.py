"""Names the line that keeps the loop busy: nobody is served meanwhile, and nothing else would tell why.

The loop writes down the time a few times a second; that is all it does for this. A thread looks whether it has, and
where it has not, at what the loop's thread is doing: the frames of this moment. So who runs costs nothing to know.

Overdue time counts only while this process ran: it may have been stopped, or have waited for a processor. Where the
thread itself came late, because code held the interpreter's lock, the processor time tells that from the other.
"""

import asyncio
import logging
import sys
import threading
import time
from types import FrameType

from .limits import Limits
from .loop import Loop
from .places import culprit

_BEATS = 3  # within the limit


class Spell:
    """Decides when to speak: once a spell has lasted for *limit_s*, and each time it has doubled. Keeps no time."""

    def __init__(self, limit_s: float) -> None:
        self.busy_s = 0.0  # the present spell
        self._limit_s = self._speak_at = limit_s
        self._step_s = limit_s / _BEATS
        self._now: float | None = None
        self._cpu = 0.0

    def look(self, now: float, cpu: float, due: float) -> bool:
        """Whether to speak. *cpu*: of the process so far, in seconds; *due*: when the next beat should come."""
        since = due if self._now is None else max(due, self._now)
        spent, self._now, self._cpu = cpu - self._cpu, now, cpu
        if now <= due:
            self.busy_s, self._speak_at = 0.0, self._limit_s
            return False
        if since == due:  # there was a beat since the last look
            self.busy_s, self._speak_at = 0.0, self._limit_s
        late = now - since
        self.busy_s += late if spent > late / 2 else min(late, 2 * self._step_s)
        if self.busy_s < self._speak_at:
            return False
        self._speak_at = 2 * self.busy_s
        return True


class Watchdog:
    """Watches one loop from :meth:`start` to :meth:`stop`. Both in the loop's thread."""

    def __init__(self, loop: Loop, limits: Limits, log: logging.Logger) -> None:
        self.lag = 0.0  # the longest so far: seconds that the loop came too late to a timer
        self._loop = loop
        self._log = log
        self._limit_s = limits.loop_busy_s
        self._step_s = limits.loop_busy_s / _BEATS
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._floor: frozenset[FrameType] = frozenset()  # what runs the loop is not what keeps it busy
        self._thread = 0
        self._end = threading.Event()

    def start(self) -> None:
        """From the loop's first turn on."""
        self._end = threading.Event()
        self._timer = self._loop.call_later(0, self._begin)

    def stop(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._floor = frozenset()
            self._end.set()

    def _begin(self) -> None:
        """The first beat, and the only one that looks at who runs the loop."""
        frames = []
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            frames.append(frame)
            frame = frame.f_back
        self._floor = frozenset(frames)
        self._thread = threading.get_ident()
        self._due = time.monotonic()
        self._beat()
        threading.Thread(target=self._watch, args=(self._end,), name="greenwire watchdog", daemon=True).start()

    def _beat(self) -> None:
        now = time.monotonic()
        self.lag = max(self.lag, now - self._due)
        self._due = now + self._step_s
        self._timer = self._loop.call_later(self._step_s, self._beat)

    # --- in a thread of its own

    def _watch(self, end: threading.Event) -> None:
        spell = Spell(self._limit_s)
        while not end.wait(self._step_s):
            if spell.look(time.monotonic(), time.process_time(), self._due):
                self._speak(spell.busy_s)

    def _speak(self, seconds: float) -> None:
        found = culprit(sys._current_frames().get(self._thread), self._floor)
        if found is not None:  # else it came round meanwhile
            name, place = found
            self._log.warning("handler %r has kept the loop busy for %.1f s at %s", name, seconds, place)
