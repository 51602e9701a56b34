"""Make docs/limits.md from the comments of src/greenwire/limits.py:  python docs/build_limits.py"""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "greenwire" / "limits.py"
PAGE = ROOT / "docs" / "limits.md"

INTRODUCTION = """\
# Limits

Everything that a client can make grow has a bound, and one thing that happens when the bound is crossed. The unit is
in the name: `_bytes`, `_s` for seconds, else a count. Change one with `SocketIO(app, limits=Limits(threads=400))`, or
`greenwire.serve(app, limits=...)`; a value that cannot be meant is an error at that line. For Socket.IO and Engine.IO
`message_bytes` is the option `max_http_buffer_size`, and `connect_timeout_s` the option `connect_timeout`, where given.

Where a service has several workers, each keeps its bounds by itself: what counts *for each worker* is bounded for the
service by that many times as much.

This page is made from `src/greenwire/limits.py`.
"""
_SECTION = re.compile(r"    # --- (.+)")
_LIMIT = re.compile(r"    (\w+): (?:int|float) = ([\d_.]+)  # (.+) → (.+)")
_HEADING = ["| limit | default | why this, and whose | when crossed |", "|---|---:|---|---|"]


def page() -> str:
    """The text of the page."""
    lines = [INTRODUCTION]
    for line in SOURCE.read_text().splitlines():
        if section := _SECTION.match(line):
            title = section[1]
            lines += [f"## {title[0].upper()}{title[1:]}", "", *_HEADING]
        elif limit := _LIMIT.match(line):
            name, default, why, outcome = limit.groups()
            lines.append(f"| `{name}` | {default.replace('_', ',')} | {why} | {outcome} |")
        elif lines[-1].startswith("|") and not line.strip():
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
