"""What the kernel knows about a process tree: CPU seconds and resident memory. Linux only.

CPU is user plus system time of every process in the tree, of all their threads, living and dead, and of the
children they have reaped. The first is the process's CPU clock, in nanoseconds (clock_getcpuclockid(3)); for the
children there is only proc(5), cutime and cstime, in ticks of 10 ms.
"""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path
from typing import NamedTuple

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_CPU_CLOCK = 2  # CPUCLOCK_SCHED of the kernel's posix-timers: the clock of a process is its inverted id and this
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Usage(NamedTuple):
    """What a process tree has used so far and holds now."""

    cpu_s: float
    rss_bytes: int


class _Stat(NamedTuple):
    parent: int
    children_ticks: int
    pages: int


def usage(root: int) -> Usage:
    """CPU seconds and resident bytes of the process ``root`` and all its descendants."""
    processes = _all_processes()
    if root not in processes:
        raise ProcessLookupError(f"process {root} is gone")
    tree = _descendants(root, processes)
    reaped_s = sum(processes[pid].children_ticks for pid in tree) / _TICKS_PER_SECOND
    pages = sum(processes[pid].pages for pid in tree)
    return Usage(sum(map(_own_cpu_s, tree)) + reaped_s, pages * _PAGE_BYTES)


def _own_cpu_s(pid: int) -> float:
    try:
        return time.clock_gettime(~pid << 3 | _CPU_CLOCK)
    except OSError:  # it has ended since it was listed, and its parent's children count it now
        return 0.0


def raise_file_limit() -> int:
    """Allow this process and its children as many descriptors as the system permits; returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def _all_processes() -> dict[int, _Stat]:
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                found[int(entry.name)] = _parse((entry / "stat").read_text())
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended between the listing and the reading
    return found


def _parse(stat: str) -> _Stat:
    # The name may hold spaces and brackets; behind the last bracket the fields go on with number 3.
    fields = stat.rpartition(")")[2].split()
    return _Stat(parent=int(fields[1]), children_ticks=sum(map(int, fields[13:15])), pages=int(fields[21]))


def _descendants(root: int, processes: dict[int, _Stat]) -> set[int]:
    tree = {root}
    while True:
        children = {pid for pid, stat in processes.items() if stat.parent in tree} - tree
        if not children:
            return tree
        tree |= children
