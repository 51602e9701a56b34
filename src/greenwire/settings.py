"""What a setting is: one row of the table that everything which can be told to the server is in.

A row is a field of :class:`greenwire.run_options.RunOptions` (or of ``CommandOptions``, which has what only the
command can be told), made by :func:`setting`; or a field of :class:`greenwire.limits.Limits`. From the rows come the
options of the command, the names in the environment and in files, the keywords of ``run``, and the page
docs/reference/command.md. No fact about a setting stands anywhere else. Leaf.

One key, four spellings::

    max-requests   --max-requests 500   GREENWIRE_MAX_REQUESTS=500   max-requests = 500   run(app, max_requests=500)
    threads        --limit-threads 400  GREENWIRE_LIMIT_THREADS=400  [limits] threads = 400
"""

import inspect
import os
import re
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from difflib import get_close_matches
from functools import cache
from typing import Any

from .limits import Limits
from .net.listen import UNIX

PREFIX = "GREENWIRE_"
LIMIT = "limit-"
# Limits that have a name of their own with other servers, too.
ALIASES = {"threads": "threads", "graceful-timeout": "graceful_s"}
_MARK = "setting"
_LIMIT_LINE = re.compile(r"    (\w+): (?:int|float) = [\d_.]+  # (.+) → (.+)")
_YES = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def meant(name: str, known: Iterable[str]) -> str:
    """For the end of a message: the one of *known* that looks like *name*, if there is one."""
    near = get_close_matches(name, known, 1)
    return f"; did you mean {near[0]!r}?" if near else ""


# --- kinds of values


@dataclass(frozen=True, slots=True)
class Kind:
    """How a value is read that was written as text, or in TOML, or in Python."""

    metavar: str  # in the help; "" for a switch
    takes: str  # "it takes ..."
    read: Callable[[Any], Any]  # raises ValueError or TypeError
    many: bool = False  # the option may be repeated
    below: Callable[[Any, str], Any] = lambda value, _: value  # the value, its relative paths in a folder


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError
    return value


def _path(value: Any) -> str:
    return _text(os.fspath(value))


def _whole(value: Any) -> int:
    number = int(value)
    if isinstance(value, bool) or number < 0 or (isinstance(value, float) and number != value):
        raise ValueError
    return number


def _seconds(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool) or not 0 <= number < float("inf"):
        raise ValueError
    return number


def _switch(value: Any) -> bool:
    if isinstance(value, str):
        value = _YES.get(value.strip().lower())
    if not isinstance(value, bool | int):
        raise ValueError
    return bool(value)


def _texts(value: Any) -> list[str]:
    parts = value.split(",") if isinstance(value, str) else list(value)
    found = [_text(part).strip() for part in parts]
    if not found:
        raise ValueError
    return found


def _certs(value: Any) -> list[tuple[str, str | None]]:
    parts = value.split(",") if isinstance(value, str) else list(value)
    if not parts:
        raise ValueError
    return [_cert(part) for part in parts]


def _cert(part: Any) -> tuple[str, str | None]:
    certfile, keyfile = part.strip().partition(":")[::2] if isinstance(part, str) else part
    return _path(certfile), _path(keyfile) if keyfile else None


def _path_below(value: str, folder: str) -> str:
    return value if value == "-" else os.path.join(folder, value)  # "-": standard output


def _certs_below(value: list[tuple[str, str | None]], folder: str) -> list[tuple[str, str | None]]:
    return [(_path_below(cert, folder), key and _path_below(key, folder)) for cert, key in value]


def _binds_below(value: list[str], folder: str) -> list[str]:
    return [UNIX + os.path.join(folder, path) if (path := each.partition(UNIX)[2]) else each for each in value]


def _mode(value: Any) -> int:
    number = int(value, 8) if isinstance(value, str) else value
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= 0o7777:
        raise ValueError
    return number


def _workers(value: Any) -> int | str:
    if value == "auto":
        return "auto"
    number = _whole(value)
    if number < 1:
        raise ValueError
    return number


def _address(value: Any) -> str:
    host, colon, port = _text(value).rpartition(":")
    if not colon or not host or not 0 <= int(port) <= 65_535:
        raise ValueError
    return str(value)


def _url_path(value: Any) -> str:
    if not _text(value).startswith("/"):
        raise ValueError
    return str(value)


def _choice(*names: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        lower = _text(value).lower()
        if lower not in names:
            raise ValueError
        return lower

    return read


def _verify_mode(value: Any) -> ssl.VerifyMode:
    if isinstance(value, str) and not value.isdigit():
        return ssl.VerifyMode[f"CERT_{value.upper()}"]
    return ssl.VerifyMode(int(value))


TEXT = Kind("TEXT", "text", _text)
FILE = Kind("FILE", "a path", _path, below=_path_below)
WHOLE = Kind("N", "a whole number, 0 or more", _whole)
SECONDS = Kind("SECONDS", "a number of seconds", _seconds)
SWITCH = Kind("", "true or false", _switch)
TEXTS = Kind("TEXT", "one or several, with commas between them", _texts, many=True)
BINDS = replace(TEXTS, below=_binds_below)
CERTS = Kind(
    "CERT:KEY", "pairs of certificate file and key file, or one file with both", _certs, many=True, below=_certs_below
)
MODE = Kind("MODE", "an octal number such as 022", _mode)
WORKERS = Kind("N", "a whole number, 1 or more, or 'auto'", _workers)
ADDRESS = Kind("HOST:PORT", "an address such as 127.0.0.1:9100", _address)
URL_PATH = Kind("PATH", "a path that begins with /, such as /health", _url_path)
CERT_REQS = Kind("MODE", "none, optional or required", _verify_mode)
LEVEL = Kind(
    "LEVEL",
    "debug, info, warning, error or critical",
    _choice("debug", "info", "warning", "error", "critical"),
)


# --- rows


@dataclass(frozen=True, slots=True)
class Setting:
    """One row."""

    key: str  # with hyphens, as in files and behind "--"
    name: str  # of the field
    kind: Kind | None  # None: only Python can say it
    default: Any
    help: str
    section: str = ""
    short: str = ""
    also_env: tuple[str, ...] = ()  # names that other servers, or whoever hosts them, have taught people
    aliases: tuple[str, ...] = ()  # keys that mean the same
    limit: bool = False
    shown_default: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key that it has."""
        return (self.key, *self.aliases)

    @property
    def envs(self) -> tuple[str, ...]:
        """Its names in the environment; the first that is set counts."""
        return (*(PREFIX + key.replace("-", "_").upper() for key in self.keys), *self.also_env)

    @property
    def options(self) -> tuple[str, ...]:
        """As the command has it: ``--max-requests``."""
        return tuple(f"--{key}" for key in self.keys)

    def read(self, value: Any, where: str, folder: str = "") -> Any:
        """The value, or a ``ValueError`` that says *where* it stands and what would do. Paths are below *folder*."""
        assert self.kind is not None
        try:
            return self.kind.below(self.kind.read(value), folder)
        except (ValueError, TypeError, KeyError):
            raise ValueError(f"{where}: {value!r} will not do; it takes {self.kind.takes}") from None


def setting(
    default: Any,
    help: str,
    kind: Kind | None = None,
    *,
    key: str = "",
    section: str = "",
    short: str = "",
    also_env: Sequence[str] = (),
    shown_default: str = "",
) -> Any:
    """A field of a dataclass that is a row of the table. Without *kind* it is a keyword of ``run`` and no more."""
    row: dict[str, Any] = {"help": help, "kind": kind, "key": key, "section": section, "short": short}
    row |= {"also_env": tuple(also_env), "shown_default": shown_default}
    metadata = {_MARK: row}
    if isinstance(default, dict | list):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


def rows_of(options: type[Any]) -> tuple[Setting, ...]:
    """The rows that the fields of the dataclass *options* are."""
    return tuple(_row(item) for item in fields(options) if _MARK in item.metadata)


@cache
def limit_rows() -> tuple[Setting, ...]:
    """The rows that the limits are; their help is what stands beside them in ``limits.py``."""
    said = {match[1]: f"{match[2]} → {match[3]}" for match in map(_LIMIT_LINE.match, _limits_source()) if match}
    return tuple(
        Setting(
            LIMIT + item.name.replace("_", "-"),
            item.name,
            WHOLE if item.type is int else SECONDS,
            item.default,
            said.get(item.name, ""),
            section="limits",
            aliases=tuple(alias for alias, name in ALIASES.items() if name == item.name),
            limit=True,
        )
        for item in fields(Limits)
    )


def _row(item: Field[Any]) -> Setting:
    row = dict(item.metadata[_MARK])
    default = item.default if item.default_factory is MISSING else item.default_factory()
    key = row.pop("key") or item.name.replace("_", "-")
    return Setting(key, item.name, default=default, **row)


def _limits_source() -> list[str]:
    try:
        return inspect.getsource(Limits).splitlines()
    except OSError:  # installed without source: the limits work, and say less
        return []
