"""Make docs/reference/api.md from signatures and docstrings:  python docs/build_reference.py"""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any

import greenwire
import greenwire.engineio
import greenwire.errors
import greenwire.flask
from greenwire.engineio.options import Options
from greenwire.run_options import RunOptions
from greenwire.settings import rows_of

PAGE = Path(__file__).parent / "reference" / "api.md"

INTRODUCTION = """\
# Reference

Every public name, its parameters and what it does. `from greenwire.flask import SocketIO, emit` and so on; what has no
leading underscore and stands here is what may be relied on. This page is made from the docstrings.
"""

# What each keyword of SocketIO(...) means. Defaults that a dataclass has are taken from there.
OPTIONS = {
    "cors_allowed_origins": "who may connect: `None` pages of the same origin, an origin, several, `'*'` all, a"
    " function `(origin)` or `(origin, environ)`, `[]` no checks",
    "cors_credentials": "whether foreign pages may send cookies",
    "path": ("`'socket.io'`", "the URL prefix, also as `resource`"),
    "resource": None,
    "namespaces": ("`()`", "namespaces that are open without handlers; `'*'` all"),
    "manage_session": ("`True`", "`True`: each connection has a copy of the session; `False`: the application's own"),
    "async_mode": ("`None`", "`None` and `'threading'`: handlers run in threads"),
    "async_handlers": ("`True`", "`False`: the events of one client are handled one after the other"),
    "always_connect": ("`False`", "`True`: a client is accepted before its connect handler runs"),
    "json": ("built in", "an object with `dumps` and `loads`, such as `flask.json`"),
    "serializer": ("`'default'`", "`'default'` is JSON; `'msgpack'` that of the JavaScript parser"),
    "limits": ("`Limits()`", "the bounds on everything a client can make grow: [limits](../limits.md)"),
    "connect_timeout": ("`45`", "seconds in which a connection must join a namespace"),
    "message_queue": ("`None`", "the URL of a queue that joins several machines, or processes that only emit"),
    "client_manager": ("`None`", "instead of a URL: `greenwire.cluster.RedisQueue(...)` or `KombuQueue(...)`"),
    "channel": ("`'flask-socketio'`", "of the queue: servers with the same one are one server"),
    "ping_interval": "seconds between heartbeats; `(seconds, grace)` adds up",
    "ping_timeout": "seconds that a client may take to answer one",
    "max_http_buffer_size": "bytes of one message or one POST",
    "upgrade_timeout": "seconds that the change from polling to WebSocket may take",
    "allow_upgrades": "whether clients are told that they may change to WebSocket",
    "transports": "`'polling'`, `'websocket'`, or both",
    "http_compression": "whether answers to polls are compressed",
    "compression_threshold": "bytes from which they are",
    "ws_compression": "whether WebSocket messages are compressed (permessage-deflate)",
    "cookie": "a cookie with the session's id: its name, or a dict with `name` and attributes",
}
RUN_OPTIONS = {row.name: (f"`{row.shown_default or repr(row.default)}`", row.help) for row in rows_of(RunOptions)}
ERRORS = [
    value
    for value in vars(greenwire.errors).values()
    if isinstance(value, type) and value.__module__ == "greenwire.errors"
]


def page() -> str:
    """The text of the page."""
    parts = [INTRODUCTION, "## greenwire.flask\n", *classes_and_functions(greenwire.flask)]
    parts += ["### Options of `SocketIO(...)` and `init_app(...)`\n", *table(OPTIONS, fields(Options))]
    parts += ["### Options of `run(...)`\n", *table(RUN_OPTIONS, fields(RunOptions))]
    parts += ["## greenwire\n", *classes_and_functions(greenwire)]
    parts += ["## greenwire.engineio\n", *classes_and_functions(greenwire.engineio)]
    tree = (inspect.getdoc(greenwire.errors) or "").removesuffix("Pure: imports nothing.")
    parts += ["## greenwire.errors\n", prose(tree)]
    for error in ERRORS:
        parts.append(f"- **`{error.__name__}`** {prose(inspect.getdoc(error) or '')}".replace("\n", "\n  "))
    return re.sub(r" +$", "", "\n".join(parts), flags=re.MULTILINE).rstrip() + "\n"


def classes_and_functions(module: Any) -> Iterator[str]:
    """Each public name of *module*."""
    for name in sorted(module.__all__, key=lambda name: (name != "SocketIO", name[0].islower(), name)):
        value = getattr(module, name)
        if isinstance(value, type) and issubclass(value, Exception):
            continue  # they have a section of their own
        if isinstance(value, type):
            yield from class_(name, value)
        elif callable(value):
            yield from function(f"### `{name}`", name, value)


def class_(name: str, cls: type) -> Iterator[str]:
    """A class, its methods and properties, in the order of the source: its own first."""
    if is_dataclass(cls):
        shown = [line[4:] for line in inspect.getsource(cls).splitlines() if re.match(r"    \w+: ", line)]
        yield f"### `{name}`\n\n{prose(inspect.getdoc(cls) or '')}\n\n```python\n" + "\n".join(shown) + "\n```\n"
    else:
        yield from function(f"### `{name}`", name, cls.__init__, cls)
    seen: set[str] = set()
    for base in cls.__mro__[:-1]:
        for member, value in vars(base).items():
            if member.startswith("_") or member in seen:
                continue
            seen.add(member)
            if isinstance(value, property):
                yield f"#### `{name}.{member}`\n\n{prose(inspect.getdoc(value) or '')}\n"
            elif inspect.isfunction(value):
                yield from function(f"#### `{name}.{member}`", member, value)


def function(title: str, name: str, fn: Callable[..., Any], documented: Any = None) -> Iterator[str]:
    """A title, the signature as it stands in the source, the docstring."""
    text = inspect.getdoc(documented or fn)
    assert text, f"{title}: no docstring"
    yield f"{title}\n\n```python\n{signature(name, fn)}\n```\n\n{prose(text)}\n"


def signature(name: str, fn: Callable[..., Any]) -> str:
    """``name(parameter: type = default, ...) -> type``, on several lines where it is long."""
    node = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(fn)))).body[0]
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    shown = list(parameters(node.args))
    returns = "" if node.returns is None or name[0].isupper() else f" -> {ast.unparse(node.returns)}".replace("'", "")
    line = f"{name}({', '.join(shown)}){returns}"
    if len(line) <= 100:
        return line
    return f"{name}(\n" + "".join(f"    {each},\n" for each in shown) + f"){returns}"


def parameters(arguments: ast.arguments) -> Iterator[str]:
    """Each parameter but ``self``."""
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(plain) - len(arguments.defaults)) + list(arguments.defaults)
    for argument, default in zip(plain, defaults, strict=True):
        if argument.arg not in ("self", "cls"):
            yield parameter(argument, default)
    if arguments.vararg:
        yield "*" + arguments.vararg.arg
    elif arguments.kwonlyargs:
        yield "*"
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield parameter(argument, default)
    if arguments.kwarg:
        yield "**" + arguments.kwarg.arg


def parameter(argument: ast.arg, default: ast.expr | None) -> str:
    """``name: type = default``."""
    text = argument.arg
    if argument.annotation is not None:
        text += ": " + ast.unparse(argument.annotation).replace("'", "")
    if default is not None:
        value = ast.unparse(default)
        text += " = " + ("..." if value.startswith("_") else value)  # a mark for "not given"
    return text


def table(meanings: dict[str, Any], known: tuple[Field[Any], ...]) -> Iterator[str]:
    """One row for each option."""
    defaults = {field.name: field for field in known}
    yield "| option | default | meaning |\n|---|---|---|"
    for name, meaning in meanings.items():
        if meaning is not None:
            default, text = meaning if isinstance(meaning, tuple) else (default_of(defaults[name]), meaning)
            yield f"| `{name}` | {default} | {text} |"
    yield ""


def default_of(field: Field[Any]) -> str:
    """As it would be written."""
    value = field.default if field.default_factory is MISSING else field.default_factory()
    return f"`{value:g}`" if isinstance(value, float) else f"`{value!r}`"


def prose(docstring: str) -> str:
    """A docstring as Markdown."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"``\1``", docstring)
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    blocks = re.split(r"\s*::\n\n((?:[ ]{4}.*\n?|\n)+)", text)
    for number in range(1, len(blocks), 2):
        blocks[number] = "\n\n```python\n" + textwrap.dedent(blocks[number]).strip("\n") + "\n```\n\n"
    return "".join(blocks).strip()


if __name__ == "__main__":
    PAGE.write_text(page())
