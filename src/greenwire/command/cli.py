"""The command ``greenwire``: ``run``, ``check``, ``version``.

Its options are the rows of the table of settings; nothing about one of them stands here. Exit codes: 0 after a
graceful end, 1 where the application or the server cannot start, 2 where the command itself makes no sense.
"""

import contextlib
import os
import platform
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import click

from .. import logs
from ..errors import ConfigurationError
from ..limits import DEFAULT
from ..net.listen import FD, UNIX, parse_bind
from ..processes import launch
from ..processes.lifeline import Worker
from ..run_options import DEFAULT_PORT, CommandOptions, RunOptions
from ..settings import MODE, Setting
from ..version import __version__
from .configuration import Configuration, misspelt, table
from .target import ImportFailedError, load, parse, prepare

_RELOAD_DRAIN_S = 0.1  # who has just saved a file does not wait for a gentle end


class _BySection(click.Command):
    """A command whose help has its options under the headings of the table."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(parameter, "section", "this command"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title[0].upper() + title[1:]):
                formatter.write_dl(records)


class _Option(click.Option):
    section = ""


def _option(row: Setting) -> _Option:
    kind = row.kind
    assert kind is not None
    names = list(row.options)
    shown = row.shown_default or ("" if row.default in (None, [], "") else str(row.default))
    text = f"{row.help}  [{shown}]" if shown else row.help
    if kind.metavar:
        short = [row.short] if row.short else []
        option = _Option([*short, *names, _parameter(row)], metavar=kind.metavar, multiple=kind.many, help=text)
    else:
        option = _Option([f"{names[0]}/--no-{row.key}", _parameter(row)], default=None, help=text)
    option.section = row.section
    return option


def _parameter(row: Setting) -> str:
    return row.key.replace("-", "_")


def _with_settings(command: Callable[..., None]) -> click.Command:
    """Make *command*, which takes ``app``, ``config`` and every setting, one of click's."""
    config = _Option(["--config"], metavar="FILE", help="settings in TOML; pyproject.toml is read without")
    config.section = "the application"
    settings = [_option(row) for row in table() if row.key != "app"]
    return _BySection(
        command.__name__,
        callback=command,
        params=[click.Argument(["app"], required=False, metavar="[MODULE:APP]"), config, *settings],
        help=command.__doc__,
    )


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="greenwire")
def main() -> None:
    """Greenwire, the realtime server for Flask."""


@main.command()
def version() -> None:
    """Show the versions of Greenwire, of Python, and of what it stands on."""
    from importlib.metadata import version as version_of

    names = "flask httptools picows uvloop".split()
    parts = [f"{name} {version_of(name)}" for name in names if _installed(name)]
    click.echo(f"greenwire {__version__} on Python {platform.python_version()}, {', '.join(parts)}")


def _installed(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None


def run(app: str | None, config: str | None, **given: Any) -> None:
    """Serve an application: MODULE:APP is a Flask application, a SocketIO, a factory, any WSGI application."""
    _, options, target = _settings(app, config, given)
    logs.begin(options.log_level)
    with _reporting():
        prepare(options)
        serve = partial(_serve, target, options.green)
        launch.run(options, options.bounded(DEFAULT), serve)


def check(app: str | None, config: str | None, **given: Any) -> None:
    """Import the application, check every setting, show what would run and who has said so. Serves nothing."""
    configuration, options, target = _settings(app, config, given)
    _show(configuration)
    with _reporting():
        prepare(options)
        launch.check(options)
        _patch(options.green)
        application = load(target)
    where = [_shown_bind(text) for text in options.bind]
    supervisor = " under a supervisor" if options.supervised else ""
    click.echo(
        f"\nwould serve {application.description}\n"
        f"on {' and '.join(map(str, where)) or f'127.0.0.1:{DEFAULT_PORT}'},"
        f" {options.worker_count} worker{'s' if options.worker_count > 1 else ''}{supervisor}"
    )


for _each in (run, check):
    main.add_command(_with_settings(_each))


def _settings(app: str | None, config: str | None, given: dict[str, Any]) -> tuple[Configuration, CommandOptions, str]:
    """What is to be served, and how. What will not do is a usage error."""
    rows = {_parameter(row): row.key for row in table()}
    by_key = {rows[name]: value for name, value in given.items()}
    try:
        configuration = Configuration({**by_key, "app": app}, os.environ, config)
        options = configuration.options
        if options.app is None:
            raise ConfigurationError("what shall be served? Write greenwire run MODULE:APP, such as shop:app")
        parse(options.app)
        if options.reloads:
            options.limits.setdefault("drain_s", _RELOAD_DRAIN_S)
        options.bounded(DEFAULT)
        _ = options.supervised
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None
    for name, meant in misspelt(configuration.rows, os.environ):
        click.echo(f"Warning: {name} in the environment is no setting; did you mean {meant}?", err=True)
    return configuration, options, options.app


def _serve(target: str, green: bool, options: RunOptions, worker: Worker) -> None:
    """In the process that serves: only here the application is seen."""
    with _reporting():
        _patch(green)
        application = load(target)
        logs.give_way()
        application.serve(options, worker)


def _patch(green: bool) -> None:
    """First of all: what is imported later finds the standard library patched."""
    if green:
        from .. import green as package

        with warnings.catch_warnings():  # click is here already, and what it keeps for a thread is its own
            warnings.filterwarnings("ignore", r".* came too late for click\.globals\.local is threading\.local: ")
            package.patch()


@contextlib.contextmanager
def _reporting() -> Iterator[None]:
    """What is the user's to mend is a line, or his own traceback; never one of ours."""
    try:
        yield
    except ImportFailedError as error:
        click.echo(str(error), err=True)
        raise SystemExit(1) from None
    except ConfigurationError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(1) from None


def _show(configuration: Configuration) -> None:
    """Each setting; of the limits those that somebody has changed."""
    lines = []
    for row in configuration.rows:
        value, source = configuration.value_of(row)
        if not row.limit or source != "default":
            lines.append((row.key, _shown(row, value), source))
    widths = [max(len(line[column]) for line in lines) for column in (0, 1)]
    for key, shown, source in lines:
        click.echo(f"{key:{widths[0]}}  {shown:{widths[1]}}  {source}")


def _shown_bind(text: str) -> str:
    host, port = parse_bind(text)
    return host or "" if text.startswith((UNIX, FD)) else f"{host}:{port}"


def _shown(row: Setting, value: Any) -> str:
    if value in (None, [], ""):
        return row.shown_default or "-"
    if isinstance(value, list):
        return ", ".join(each if isinstance(each, str) else ":".join(filter(None, each)) for each in value)
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:o}" if row.kind is MODE else str(value)
