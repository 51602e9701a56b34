"""From runs to figures: medians, spread, ratios, and whether a curve bends upward."""

from __future__ import annotations

import statistics
from itertools import pairwise
from typing import Any

from peers import REFERENCES

Numbers = dict[str, Any]
UNIT = {"idle": "rss_kb"}  # what the ratio and the spread are of; everywhere else the CPU time
USUAL_UNIT = "server_cpu_us"
BENDS = 1.5  # times dearer than at its cheapest, with more of what should not matter
SUSTAINED = 0.97  # of a schedule; below it the server falls behind more and more


def unit_of(bench: Numbers) -> str:
    """The figure that counts in a row."""
    return UNIT.get(bench["workload"], USUAL_UNIT)


def summary(runs: list[Numbers], unit: str) -> Numbers:
    """The medians of the runs that succeeded, and how far apart they lie."""
    good = [run for run in runs if "error" not in run]
    if not good:
        return {"error": runs[-1]["error"] if runs else "not run"}
    figures: Numbers = {
        key: statistics.median(run[key] for run in good)
        for key in good[0]
        if key not in ("faults", "load_is_limit") and all(key in run for run in good)
    }
    values = [run[unit] for run in good]
    figures["spread"] = (max(values) - min(values)) / 2 / figures[unit] if figures[unit] else 0.0
    figures["load_is_limit"] = statistics.median(run["load_is_limit"] for run in good) >= 0.5
    figures["falls_behind"] = figures["per_second"] < SUSTAINED * figures.get("rate", 0)
    figures["failed"] = len(runs) - len(good)
    return figures


def summaries(bench: Numbers) -> dict[str, Numbers]:
    """Peer name to its figures, with the ratio to the reference."""
    unit = unit_of(bench)
    found = {peer: summary(runs, unit) for peer, runs in bench["runs"].items() if runs}
    reference = next((found[name].get(unit) for name in REFERENCES if name in found), None)
    for figures in found.values():
        if reference and unit in figures:
            figures["ratio"] = figures[unit] / reference
    return found


def curves(results: Numbers) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Name of a curve to peer to its points."""
    found: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for bench in results["benches"]:
        if bench["curve"]:
            x = bench["clients" if bench["curve"] == "recipients" else bench["curve"]]
            for peer, figures in summaries(bench).items():
                if USUAL_UNIT in figures:
                    found.setdefault(bench["curve"], {}).setdefault(peer, []).append((x, figures[USUAL_UNIT]))
    return found


def bend(curve: str, points: list[tuple[int, float]]) -> str:
    """What is wrong with a line; nothing where it is flat, or with the size of a message straight."""
    if curve == "size":  # a byte may cost, but not more in a longer message
        points = [(big, (cost - less) / (big - small) * 1024) for (small, less), (big, cost) in pairwise(points)]
        points = [point for point in points if point[1] > 0]  # between short messages there is nothing but noise
    if not points:
        return ""
    cheapest = min(points, key=lambda point: point[1])
    dearest = max((point for point in points if point[0] >= cheapest[0]), key=lambda point: point[1])
    if dearest[1] < BENDS * cheapest[1]:
        return ""
    unit = "µs for each further KiB" if curve == "size" else "µs"
    return f"bends upward: {cheapest[1]:.2f} {unit} at {cheapest[0]:,}, {dearest[1]:.2f} at {dearest[0]:,}"
