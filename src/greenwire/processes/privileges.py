"""Who a process is: user, group. Given up for good, before a line of the application runs."""

import os
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ConfigurationError

if TYPE_CHECKING:
    import pwd


class Identity(NamedTuple):
    """Numbers, and the name that the other groups of the user are found by."""

    uid: int
    gid: int
    name: str | None


def identity(user: str | None, group: str | None) -> Identity | None:
    """Who to be; None where nobody has said. Raises :class:`ConfigurationError` for who is not known."""
    if user is None and group is None:
        return None
    if not hasattr(os, "setuid"):
        raise ConfigurationError("user and group: this system has none that a process could become")
    uid, gid, name = os.geteuid(), os.getegid(), None
    if user is not None:
        entry = _user(user)
        uid = int(user) if entry is None else entry.pw_uid
        if entry is not None:
            gid, name = entry.pw_gid, entry.pw_name
    if group is not None:
        gid = _group(group)
    if (uid, gid) != (os.geteuid(), os.getegid()) and os.geteuid() != 0:
        raise ConfigurationError(f"user={user} group={group}: only root can become somebody else; start it as root")
    return Identity(uid, gid, name)


def become(wanted: Identity | None) -> None:
    """Give up what this process was."""
    if wanted is None or os.geteuid() != 0:
        return
    if wanted.name is not None:
        os.initgroups(wanted.name, wanted.gid)
    else:
        os.setgroups([wanted.gid])
    os.setgid(wanted.gid)
    os.setuid(wanted.uid)


def _user(text: str) -> "pwd.struct_passwd | None":
    import pwd  # not above: not every system has it

    try:
        return pwd.getpwuid(int(text)) if text.isdigit() else pwd.getpwnam(text)
    except KeyError:
        if text.isdigit():  # a number needs no name
            return None
        raise ConfigurationError(f"user {text!r}: there is no such user on this machine") from None


def _group(text: str) -> int:
    import grp  # likewise

    if text.isdigit():
        return int(text)
    try:
        return grp.getgrnam(text).gr_gid
    except KeyError:
        raise ConfigurationError(f"group {text!r}: there is no such group on this machine") from None
