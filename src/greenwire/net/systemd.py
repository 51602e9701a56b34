"""What systemd and we say to each other: sockets that it has opened for us, and where we are in our life.

Sockets (sd_listen_fds(3)): descriptors from 3 on, ``LISTEN_FDS`` of them, for the process whose id is
``LISTEN_PID``. They stay open while the service is replaced, so that no client is refused meanwhile.

Life (sd_notify(3)): one datagram for each change to the Unix socket in ``NOTIFY_SOCKET``, for units with
``Type=notify`` or ``notify-reload``. Without that variable nothing is said; a socket that takes nothing is no
reason to stop serving.
"""

import logging
import os
import socket
import time

from ..errors import BindError

log = logging.getLogger("greenwire")

_FIRST = 3  # SD_LISTEN_FDS_START
_MOST = 1_024


def handed_down() -> list[str]:
    """What systemd has opened for this process, as texts for :func:`greenwire.net.listen.listen_on`.

    Said once: the variables are removed, so that a process that we start does not take them for its own. Raises
    :class:`BindError`.
    """
    process, count = os.environ.get("LISTEN_PID"), os.environ.get("LISTEN_FDS")
    if process != str(os.getpid()) or count is None:
        return []
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    if not (count.isascii() and count.isdigit() and int(count) <= _MOST):
        raise BindError(f"LISTEN_FDS={count!r}: it takes the number of sockets that systemd hands down")
    return [f"fd://{number}" for number in range(_FIRST, _FIRST + int(count))]


def ready(status: str = "") -> bool:
    """We listen: units that wait for us may start."""
    return notify("READY=1", f"MAINPID={os.getpid()}", *([f"STATUS={status}"] if status else ()))


def reloading() -> bool:
    """Settings and certificates are read again; :func:`ready` says when that is done."""
    return notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1_000}")


def stopping() -> bool:
    """We have begun to end."""
    return notify("STOPPING=1")


def notify(*lines: str) -> bool:
    """Say *lines*, ``NAME=value`` each. Whether they were taken."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@") or not hasattr(socket, "AF_UNIX"):
        return False
    if address.startswith("@"):  # Linux: a name without a file
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)  # a manager that does not read must not stop us
            sock.sendto("\n".join(lines).encode(), address)
    except (OSError, ValueError) as error:
        log.warning("systemd is not told %s: %s", lines[0], error)
        return False
    return True
