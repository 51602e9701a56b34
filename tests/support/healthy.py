"""What has to stay true while others misbehave: a good client is served, and the log is not flooded."""

import logging
import threading

from .engine import Client
from .waiting import wait_until


class Healthy:
    """A client that echoes all the time. ``with Healthy(port) as healthy:``"""

    def __init__(self, port: int) -> None:
        self.beats = 0
        self.error: BaseException | None = None
        self._client = Client(port)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self._client.join()
            while not self._end.is_set():
                assert self._client.call("echo", self.beats) == [self.beats]
                self.beats += 1
                self._end.wait(0.002)  # leaves the processor to the others
        except BaseException as error:
            self.error = error

    def __enter__(self) -> "Healthy":
        self._thread.start()
        self.check()
        return self

    def check(self) -> None:
        """It is being served."""
        start = self.beats
        wait_until(lambda: self.error or self.beats >= start + 3, "the healthy client is served")
        assert self.error is None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.check()
        self._end.set()
        self._thread.join()
        self._client.close()


def assert_no_flood(records: list[logging.LogRecord]) -> None:
    """The same warning stands in the log about once a second.

    Once more at most: the second is that of the loop's turns, and a line may be written long after its turn began.
    """
    kinds: dict[str, list[float]] = {}
    for record in records:
        if record.name.startswith("greenwire") and record.levelno >= logging.WARNING:
            kinds.setdefault(str(record.msg).partition(" (and ")[0], []).append(record.created)
    for kind, times in kinds.items():
        assert len(times) <= 2 + max(times) - min(times), f"too often: {kind}"
