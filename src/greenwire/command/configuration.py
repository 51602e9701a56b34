"""Where values of settings come from: the command line, then the environment, then files, then the default.

``pyproject.toml`` in the folder of the application is read for its table ``[tool.greenwire]``; a file given with
``--config`` comes before it. Keys may be written with ``-`` or ``_``. Limits stand in a table of their own::

    app = "shop:app"
    workers = 4

    [limits]
    threads = 400

A relative path is relative to whoever names it: in a file to the folder of that file, else to where the command was
started. Here they are made absolute, for who goes elsewhere later (``chdir``).
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ConfigurationError
from ..run_options import CommandOptions
from ..settings import LIMIT, PREFIX, Setting, limit_rows, rows_of

_PYPROJECT = "pyproject.toml"
_TABLE = "limits"


class Found(NamedTuple):
    """A value, and who has said it."""

    value: Any
    source: str


def table() -> list[Setting]:
    """All settings that the command has."""
    return [row for row in (*rows_of(CommandOptions), *limit_rows()) if row.kind is not None]


class Configuration:
    """All values with their sources. Raises :class:`ConfigurationError` for the first that will not do."""

    def __init__(self, given: Mapping[str, Any], environ: Mapping[str, str], config: str | None = None) -> None:
        """*given*: what the command line says, by key."""
        self.rows = table()
        self.found: dict[str, Found] = {}
        self._fill(_from_command_line(self.rows, given), Path())
        self._fill(_from_environment(self.rows, environ), Path())
        folder = Path(self.found["chdir"].value) if "chdir" in self.found else Path()
        if config is not None:
            self._fill(self._from_file(Path(config), ()), Path(config).parent)
        if (folder / _PYPROJECT).is_file():
            self._fill(self._from_file(folder / _PYPROJECT, ("tool", "greenwire")), folder)

    def _fill(self, values: Iterator[tuple[Setting, Any, str]], folder: Path) -> None:
        """Take of *values* what nobody has said before; their relative paths are in *folder*."""
        for row, value, source in values:
            if row.key not in self.found:
                try:
                    self.found[row.key] = Found(row.read(value, source, str(folder.absolute())), source)
                except ValueError as error:
                    raise ConfigurationError(str(error)) from None

    def _from_file(self, path: Path, inside: tuple[str, ...]) -> Iterator[tuple[Setting, Any, str]]:
        values = _read(path)
        for depth, name in enumerate(inside, 1):
            values = _table_in(values, name, f"{path}: [{'.'.join(inside[:depth])}]")
        limits = _table_in(values, _TABLE, f"{path}: [{'.'.join((*inside, _TABLE))}]")
        rows = {key: row for row in self.rows for key in row.keys}
        for prefix, part in (("", {key: each for key, each in values.items() if key != _TABLE}), (LIMIT, limits)):
            for name, value in part.items():
                key = prefix + name.replace("_", "-")
                if key not in rows:
                    near = get_close_matches(key, rows, 1)
                    hint = f"; did you mean {near[0].removeprefix(prefix)!r}?" if near else ""
                    raise ConfigurationError(f"{path}: there is no setting {name!r}{hint}")
                yield rows[key], value, f"{path} {'limits.' if prefix else ''}{name}"

    def value_of(self, row: Setting) -> Found:
        """What counts."""
        return self.found.get(row.key) or Found(row.default, "default")

    @property
    def options(self) -> CommandOptions:
        """For the server."""
        values = {row.name: self.found[row.key].value for row in self.rows if row.key in self.found and not row.limit}
        limits = {row.name: self.found[row.key].value for row in self.rows if row.key in self.found and row.limit}
        return CommandOptions(**values, limits=limits)


def _from_command_line(rows: list[Setting], given: Mapping[str, Any]) -> Iterator[tuple[Setting, Any, str]]:
    for row in rows:
        value = given.get(row.key)
        if value is not None and value != ():
            yield row, value, "command line" if row.key == "app" else f"command line --{row.key}"


def _from_environment(rows: list[Setting], environ: Mapping[str, str]) -> Iterator[tuple[Setting, Any, str]]:
    for row in rows:
        for name in row.envs:
            if environ.get(name):
                yield row, environ[name], f"environment {name}"
                break
    if port := environ.get("PORT"):  # where a platform gives it, the platform connects from another machine
        yield next(row for row in rows if row.key == "bind"), f"0.0.0.0:{port}", "environment PORT"


def _table_in(values: dict[str, Any], name: str, where: str) -> dict[str, Any]:
    found = values.get(name, {})
    if not isinstance(found, dict):
        raise ConfigurationError(f"{where} takes a table")
    return found


def misspelt(rows: list[Setting], environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Names in the environment that look like one of ours, with what they look like."""
    known = [name for row in rows for name in row.envs]
    for name in environ:
        if name.startswith(PREFIX) and name not in known and (near := get_close_matches(name, known, 1, 0.8)):
            yield name, near[0]


def _read(path: Path) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigurationError(f"config {os.fspath(path)}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"config {os.fspath(path)}: it is no TOML: {error}") from None
