"""What the kernel knows about a process tree: CPU seconds and resident memory. Linux only.

CPU is user plus system time of every process in the tree, of all their threads, living and dead, and of the
children they have reaped (proc(5): utime, stime, cutime, cstime). The kernel counts it in ticks of 10 ms,
which is a quarter of a percent of a four second window.
"""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import NamedTuple

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Usage(NamedTuple):
    """What a process tree has used so far and holds now."""

    cpu_s: float
    rss_bytes: int


class _Stat(NamedTuple):
    parent: int
    ticks: int
    pages: int


def usage(root: int) -> Usage:
    """CPU seconds and resident bytes of the process ``root`` and all its descendants."""
    processes = _all_processes()
    if root not in processes:
        raise ProcessLookupError(f"process {root} is gone")
    tree = _descendants(root, processes)
    ticks = sum(processes[pid].ticks for pid in tree)
    pages = sum(processes[pid].pages for pid in tree)
    return Usage(ticks / _TICKS_PER_SECOND, pages * _PAGE_BYTES)


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
    return _Stat(parent=int(fields[1]), ticks=sum(map(int, fields[11:15])), pages=int(fields[21]))


def _descendants(root: int, processes: dict[int, _Stat]) -> set[int]:
    tree = {root}
    while True:
        children = {pid for pid, stat in processes.items() if stat.parent in tree} - tree
        if not children:
            return tree
        tree |= children
