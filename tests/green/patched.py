"""Runs a script in a process of its own: ``patch()`` is for the whole process."""

import subprocess
import sys
from textwrap import dedent

PATCH = "from greenwire.green import patch; patch()\n"
NO_UVLOOP = "import sys; sys.modules['uvloop'] = None\n"
LIMIT_S = 60


def run(script, *, before=PATCH, status=0, path=None):
    """What *script* prints, in a patched process. Nothing may be written to standard error, or warned of."""
    text = before + dedent(script)
    command = [sys.executable, "-W", "error", "-X", "faulthandler", "-c", text]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, cwd=path)
    assert (done.returncode, done.stderr) == (status, ""), done.stdout + done.stderr
    return done.stdout.splitlines()
