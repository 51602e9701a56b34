"""Make docs/reference/command.md from the table of settings:  python docs/build_command.py"""

from collections.abc import Iterator
from pathlib import Path

from greenwire.command.configuration import table
from greenwire.metrics import TABLE
from greenwire.settings import Setting

PAGE = Path(__file__).parent / "reference" / "command.md"

INTRODUCTION = """\
# The command

```sh
greenwire run shop:app            # a Flask application, or a SocketIO
greenwire run "shop:create_app('production')"
greenwire run shop                # finds app, application, socketio or create_app
greenwire check shop:app          # imports it, checks every setting, says what would run and who has said so
greenwire version
```

`python -m greenwire` is the same. A Flask application that has a `SocketIO` is served with it; any WSGI application can
be served. The modules are looked for in the current folder, or in that of `--chdir`.

Exit codes: 0 after a graceful end, 1 where the application or the server cannot start, 2 where the command itself makes
no sense. An error of the application while it is imported is its own traceback and nothing else.

## Where settings come from

The command line counts before the environment, that before the file given with `--config`, that before the table
`[tool.greenwire]` of the `pyproject.toml` in the folder of the application. The name of a setting is the same
everywhere: `--max-requests 500`, `GREENWIRE_MAX_REQUESTS=500`, `max-requests = 500` (or `max_requests`), and
`socketio.run(app, max_requests=500)`. Lists have commas in the environment; on the command line the option is repeated.

A relative path is relative to whoever names it: in a file, to the folder of that file; on the command line and in the
environment, to the folder where the command was started. `--chdir` changes neither. That goes for `certfile`,
`keyfile`, `certs`, `ca-certs`, `pid`, `access-log-file`, `chdir` and the sockets `unix:` of `bind`.

```toml
[tool.greenwire]
app = "shop:app"
bind = ["0.0.0.0:8000", "unix:/run/shop.sock"]
workers = 4

[tool.greenwire.limits]
threads = 400
```

## What `check` looks at

`greenwire check` refuses what `run` would refuse, with the same line and exit code: settings, names that cannot be
resolved, addresses that this machine lacks, users and groups, certificates, folders that are missing or may not be
written to, and the application itself, which is imported as the user that would serve. It leaves nothing behind. Not
looked at: whether somebody listens on a port or a socket already, whether the process of a pid file is alive (both may
be the server that is to be replaced), what systemd hands down, whether a worker would be ready in
`--limit-worker-boot-s`.

## Processes and signals

With one worker there is no other process: what is started is what serves. `--supervisor`, several workers,
`--max-requests` and `--reload` put a supervisor above the workers, which is the process to send signals to:

| signal | the supervisor | one process without it |
|---|---|---|
| `TERM`, `INT` | ends gracefully; the second one: at once | the same |
| `HUP` | new workers with new code and certificates; when all serve the old ones drain | certificates are read again |
| `USR1` | opens log files anew, in the workers too | the same |
| `TTIN`, `TTOU` | one worker more, one less | – |

Without a supervisor `HUP` means an end, a graceful one, where the terminal is gone that the process was started at.

During a reload no connection is refused and no request fails: old and new workers accept from the same sockets. When
the new code cannot be imported the old workers stay, and the log says why. The clients of a worker that drains are
closed one after the other, over `--limit-drain-s` seconds, so that they do not all come back at once.

A worker that dies is replaced, after a pause that grows while they keep dying; so is one whose loop has not turned for
`--limit-worker-silence-s`, with the traceback of where it stands. When the supervisor is killed, the workers end
gracefully by themselves.

`socketio.run(app, workers=4)` makes workers of a program that has imported its application already: a reload brings new
certificates, but no new code. For that, start it with `greenwire run`.

## Settings
"""
METRICS = """\
## Figures for Prometheus

`--metrics HOST:PORT` (it needs `pip install "greenwire[metrics]"`) serves them on `/metrics`, summed over all workers,
those that are gone included, and beside them a health check on `/health`. What the application itself counts with
`prometheus-client` is there, too. Those of other workers are up to a second old. Without the option nothing is counted.

| name | kind | labels | meaning |
|---|---|---|---|
"""
NOTE = "This page is made from the table of settings, `src/greenwire/run_options.py` and `src/greenwire/limits.py`.\n"
_HEADING = "| option | takes | default | meaning |\n|---|---|---|---|"


def page() -> str:
    """The text of the page."""
    return "\n".join([INTRODUCTION, *sections(), METRICS + "\n".join(metrics()), "", NOTE])


def sections() -> Iterator[str]:
    """A table for each section; limits are named only, they have a page of their own."""
    rows = [row for row in table() if not row.limit]
    for title in dict.fromkeys(row.section for row in rows):
        yield f"### {title[0].upper()}{title[1:]}\n\n{_HEADING}"
        yield "\n".join(map(line, (row for row in rows if row.section == title)))
        yield ""
    limits = [row for row in table() if row.limit]
    yield "### Limits\n\nEach of the [limits](../limits.md) is an option, too:\n"
    yield ", ".join(f"`{' / '.join(row.options)}`" for row in limits) + ".\n"


def line(row: Setting) -> str:
    """One row."""
    assert row.kind is not None
    names = ", ".join(f"`{name}`" for name in (*([row.short] if row.short else []), *row.options) if row.key != "app")
    default = row.shown_default or ("" if row.default in (None, [], "") else str(row.default).lower())
    also = f" (also `{'`, `'.join(row.also_env)}` in the environment)" if row.also_env else ""
    cells = (names or "`MODULE:APP`", row.kind.metavar or "–", default or "–", row.help + also)
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def metrics() -> Iterator[str]:
    """One row for each figure."""
    for metric in TABLE.values():
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "–"
        yield f"| `{metric.name}` | {metric.kind.value} | {labels} | {metric.help} |"


if __name__ == "__main__":
    PAGE.write_text(page())
