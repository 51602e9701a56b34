"""``mypy --strict`` passes on an application, and finds what is wrong in one."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def mypy(file: Path) -> subprocess.CompletedProcess[str]:
    """What ``mypy --strict`` says about *file*."""
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_mypy_passes_on_the_sample_application():
    checked = mypy(Path(__file__).with_name("sample_app.py"))
    assert (checked.returncode, checked.stdout) == (0, ""), checked.stderr


def test_mypy_finds_what_is_wrong(tmp_path: Path):
    (tmp_path / "wrong.py").write_text(
        "from greenwire.flask import SocketIO, emit\n"
        "socketio = SocketIO()\n"
        "@socketio.on('bid')\n"
        "def bid(lot: int) -> str:\n"
        "    return ''\n"
        "bid('one')\n"
        "emit(5)\n"
        "socketio.on_event('bid')\n"
        "socketio.sleep('long')\n"
    )
    found = mypy(tmp_path / "wrong.py").stdout.splitlines()
    assert [line.split(":")[1] for line in found if ": error:" in line] == ["6", "7", "8", "9"]
