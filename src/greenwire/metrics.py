"""The figures that Prometheus is told: what there is to know, how it is kept, and how workers' figures are joined.

Every worker keeps its own in plain numbers, and writes them to a file in the supervisor's private directory once a
second and at its end. Whichever worker is asked adds the files of the others to its own figures. So nobody waits for
anybody, and what a worker has counted still counts when it is gone: a sum that falls would look like a restart. The
figures of dead workers are put together in one file by the supervisor (:meth:`Shelf.bury`). Gauges, which tell how
something is and not how often it was, are those of living workers only.

The cardinality of labels is bounded by the source of the application: events are named by their handlers, and what
nobody handles is not counted by name.
"""

import contextlib
import json
import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from .errors import ConfigurationError

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_BURIED_KEPT = 256  # serials of workers whose file a reader may still have in its hands


class Kind(Enum):
    """Prometheus' kinds."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(NamedTuple):
    """One row of the table."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str


SESSIONS = Metric("greenwire_sessions", Kind.GAUGE, ("transport",), "Engine.IO sessions that are open")
CONNECTIONS = Metric("greenwire_connections", Kind.GAUGE, (), "TCP and Unix connections that are open")
QUEUE = Metric("greenwire_handlers_waiting", Kind.GAUGE, (), "events and requests that no thread has taken yet")
RUNNING = Metric("greenwire_handlers_running", Kind.GAUGE, (), "handlers and views that run")
WORKERS = Metric("greenwire_workers", Kind.GAUGE, (), "processes that serve")
OPENED = Metric("greenwire_sessions_opened_total", Kind.COUNTER, ("transport",), "sessions, by their first transport")
CLOSED = Metric("greenwire_sessions_closed_total", Kind.COUNTER, ("reason",), "sessions; 'transport error' was cut off")
PACKETS = Metric("greenwire_packets_total", Kind.COUNTER, ("direction",), "Engine.IO packets, in and out")
BYTES = Metric("greenwire_bytes_total", Kind.COUNTER, ("direction",), "bytes of these packets")
WARNINGS = Metric("greenwire_warnings_total", Kind.COUNTER, ("kind",), "refused, cut off, failed: as in the log")
POSTS = Metric("greenwire_worker_messages_total", Kind.COUNTER, ("direction",), "messages between workers")
HANDLED = Metric("greenwire_event_seconds", Kind.HISTOGRAM, ("namespace", "event"), "time in handlers")
FAILED = Metric("greenwire_event_failures_total", Kind.COUNTER, ("namespace", "event"), "handlers that have raised")
REQUESTS = Metric("greenwire_http_request_seconds", Kind.HISTOGRAM, ("status",), "HTTP answers, by class of status")
SENT = Metric("greenwire_http_response_bytes_total", Kind.COUNTER, (), "bytes of the bodies of HTTP answers")
LAG = Metric("greenwire_loop_lag_seconds", Kind.HISTOGRAM, (), "how late the loop's timers are: it was busy")

TABLE = {metric.name: metric for metric in list(globals().values()) if isinstance(metric, Metric)}

Key = tuple[str, tuple[str, ...]]


class Histogram:
    """How many values fell between the bounds, and their sum."""

    __slots__ = ("counts", "sum")

    def __init__(self, counts: Iterable[int] = (), total: float = 0.0) -> None:
        self.counts = list(counts) or [0] * (len(BOUNDS_S) + 1)
        self.sum = total

    def add(self, other: "Histogram") -> None:
        """Put *other* on top."""
        self.counts = [mine + its for mine, its in zip(self.counts, other.counts, strict=True)]
        self.sum += other.sum


class Figures:
    """Numbers by metric and labels. From any thread, but :meth:`add` and what gives or takes all of them."""

    def __init__(self) -> None:
        self.numbers: dict[Key, float] = {}
        self.histograms: dict[Key, Histogram] = {}
        self._lock = Lock()

    def count(self, metric: Metric, *labels: str, by: float = 1) -> None:
        """Add *by* to a counter."""
        key = (metric.name, labels)
        with self._lock:
            self.numbers[key] = self.numbers.get(key, 0) + by

    def set(self, metric: Metric, value: float, *labels: str) -> None:
        """Say how a gauge stands."""
        self.numbers[metric.name, labels] = value

    def observe(self, metric: Metric, seconds: float, *labels: str) -> None:
        """Put one value into a histogram."""
        key = (metric.name, labels)
        with self._lock:
            histogram = self.histograms.get(key)
            if histogram is None:
                histogram = self.histograms[key] = Histogram()
            histogram.counts[bisect_left(BOUNDS_S, seconds)] += 1
            histogram.sum += seconds

    def add(self, other: "Figures", *, gauges: bool = True) -> None:
        """Put *other* on top."""
        for (name, labels), value in other.numbers.items():
            if gauges or TABLE[name].kind is not Kind.GAUGE:
                self.numbers[name, labels] = self.numbers.get((name, labels), 0) + value
        for key, histogram in other.histograms.items():
            self.histograms.setdefault(key, Histogram()).add(histogram)

    def dump(self) -> str:
        """As text, for :func:`loaded`."""
        with self._lock:
            numbers = [[name, labels, value] for (name, labels), value in self.numbers.items()]
            histograms = [[*key, each.counts, each.sum] for key, each in self.histograms.items()]
        return json.dumps({"numbers": numbers, "histograms": histograms})


def loaded(text: str) -> Figures:
    """What :meth:`Figures.dump` has written; without what this version does not know."""
    figures, data = Figures(), json.loads(text)
    for name, labels, value in data["numbers"]:
        if name in TABLE:
            figures.numbers[name, tuple(labels)] = value
    for name, labels, counts, total in data["histograms"]:
        if name in TABLE and len(counts) == len(BOUNDS_S) + 1:
            figures.histograms[name, tuple(labels)] = Histogram(counts, total)
    return figures


class Shelf:
    """The files in the supervisor's directory: one for each living worker, and one for all who are gone."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)
        self._past = self._directory / "metrics-past.json"

    def _file(self, serial: int) -> Path:
        return self._directory / f"metrics-{serial}.json"

    def put(self, serial: int, figures: Figures) -> None:
        """The figures of one worker."""
        _write(self._file(serial), figures.dump())

    def others(self, serial: int) -> Figures:
        """The figures of everybody but one, living and dead."""
        figures, files = Figures(), {}
        for path in self._directory.glob("metrics-[0-9]*.json"):
            with contextlib.suppress(FileNotFoundError):  # buried in this moment: then it is in the past
                files[int(path.stem.removeprefix("metrics-"))] = loaded(path.read_text())
        buried, past = self._read_past()  # after the others, and they are left out: nothing is counted twice
        figures.add(past)
        for number, each in files.items():
            if number != serial and number not in buried:
                figures.add(each)
        return figures

    @property
    def library(self) -> str:
        """Where prometheus-client keeps what the application counts, of all workers."""
        return str(self._directory / "prometheus")

    def bury(self, serial: int, pid: int) -> None:
        """A worker has ended: what it has counted stays. In the supervisor only."""
        for path in Path(self.library).glob(f"gauge_live*_{pid}.db"):  # what its mark_process_dead() does
            path.unlink(missing_ok=True)
        try:
            figures = loaded(self._file(serial).read_text())
        except FileNotFoundError:
            return
        buried, past = self._read_past()
        past.add(figures, gauges=False)
        _write(self._past, json.dumps({"serials": [*buried, serial][-_BURIED_KEPT:], "figures": past.dump()}))
        self._file(serial).unlink()

    def _read_past(self) -> tuple[list[int], Figures]:
        try:
            data = json.loads(self._past.read_text())
        except FileNotFoundError:
            return [], Figures()
        return data["serials"], loaded(data["figures"])


def _write(path: Path, text: str) -> None:
    """Nobody reads half of it. The supervisor may be root and the directory is the workers': no link is followed."""
    other = path.with_suffix(f".{os.getpid()}.new")
    other.unlink(missing_ok=True)
    descriptor = os.open(other, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    with open(descriptor, "w") as file:
        os.fchmod(descriptor, 0o644)  # whatever the mask: the directory is private
        file.write(text)
    other.replace(path)


# --- for Prometheus


def check() -> None:
    """Raise :class:`ConfigurationError` where the library is missing."""
    if find_spec("prometheus_client") is None:  # not imported here: it looks at the environment when it is
        raise ConfigurationError("metrics needs the package prometheus-client: pip install 'greenwire[metrics]'")


def exposition(figures: Figures, *, alone: bool) -> tuple[str, bytes]:
    """Content type and text. *alone*: the figures that the application keeps with prometheus-client are all here."""
    from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest, multiprocess

    registry = CollectorRegistry()
    registry.register(_Collector(figures))
    text = generate_latest(registry)
    if alone:
        text += generate_latest(REGISTRY)
    elif os.environ.get("PROMETHEUS_MULTIPROC_DIR"):  # the application's own, in all workers
        own = CollectorRegistry()
        multiprocess.MultiProcessCollector(own)  # type: ignore[no-untyped-call]
        text += generate_latest(own)
    return CONTENT_TYPE_LATEST, text


class _Collector:
    """Our figures in the form of prometheus-client."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Any]:
        """The families, each with its samples."""
        from prometheus_client import core

        for metric in TABLE.values():
            family: Any
            if metric.kind is Kind.HISTOGRAM:
                family = core.HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
                for (name, labels), histogram in self._figures.histograms.items():
                    if name == metric.name:
                        family.add_metric(labels, _buckets(histogram), histogram.sum)
            else:
                kind = core.GaugeMetricFamily if metric.kind is Kind.GAUGE else core.CounterMetricFamily
                family = kind(metric.name, metric.help, labels=metric.labels)
                for (name, labels), value in self._figures.numbers.items():
                    if name == metric.name:
                        family.add_metric(labels, value)
            yield family


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    total, buckets = 0, []
    for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), histogram.counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return buckets
