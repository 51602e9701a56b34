"""``MODULE:APP``: from how an application is written on the command line to what can be served.

===========================  ===============================================================
written                      found
===========================  ===============================================================
``shop:app``                 the name ``app`` of the module ``shop``
``shop.web:site.app``        attributes, too
``shop:create_app()``        what the call gives
``shop:create_app("x", n=1)`` arguments are literals, as Python writes them
``shop``                     the first that is there of app, application, socketio, create_app
===========================  ===============================================================

What is found may be a Flask application, a ``SocketIO``, or any WSGI application. A Flask application that has a
``SocketIO`` is served with it.
"""

import ast
import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ConfigurationError
from ..limits import DEFAULT
from ..processes.launch import importing
from ..processes.lifeline import Worker
from ..run_options import CommandOptions, RunOptions
from ..settings import meant

if TYPE_CHECKING:  # Flask is imported by who loads an application, and not before: see --green
    from ..flask import SocketIO

NAMES = ("app", "application", "socketio", "create_app")
_OWN = (str(Path(__file__).parent) + os.sep, "<frozen importlib", str(Path(importlib.__file__).parent) + os.sep)


class TargetError(ConfigurationError):
    """It cannot be found, or is nothing that can be served. The message says what would work."""


class ImportFailedError(TargetError):
    """The application's own code has failed while it was imported or made; the message is its traceback."""


class Call(NamedTuple):
    """What stands behind the colon, taken apart."""

    path: list[str]
    args: list[Any]
    kwargs: dict[str, Any]
    called: bool


class Application(NamedTuple):
    """What is served."""

    wsgi: Callable[..., Any]
    socketio: "SocketIO | None"

    @property
    def description(self) -> str:
        """For people."""
        name = getattr(self.wsgi, "import_name", None)
        kind = f"the Flask application {name!r}" if name else f"the WSGI application {self.wsgi!r}"
        return f"{kind} with Socket.IO on {self.socketio.path}" if self.socketio is not None else kind

    def serve(self, options: RunOptions, worker: Worker) -> None:
        """Serve it in this process until it is stopped."""
        if hasattr(self.wsgi, "debug"):  # one that a line of code has left on would show everybody a console
            self.wsgi.debug = options.debug
        if self.socketio is not None:
            self.socketio.serve(self.wsgi, options, worker)  # type: ignore[arg-type]  # a Flask application
            return
        from ..stack import Service

        wsgi = self.wsgi
        if options.debug:
            from werkzeug.debug import DebuggedApplication

            wsgi = DebuggedApplication(wsgi, evalex=True)
        Service(wsgi, [], options, options.bounded(DEFAULT), worker).run()


def load(text: str) -> Application:
    """Import and make what *text* names. Raises :class:`TargetError`."""
    module_name, call = parse(text)
    with importing():
        module = _import(module_name)
        return _application(text, _made(text, module, call or _default_of(module)))


def parse(text: str) -> tuple[str, Call | None]:
    """Module and what is behind the colon. Raises :class:`TargetError`; imports nothing."""
    module, colon, rest = text.partition(":")
    if module.endswith(".py") or "/" in module:
        better = module.removesuffix(".py").strip("./").replace("/", ".")
        raise TargetError(f"{text!r}: it takes a module, not a file: write {better}{colon}{rest}")
    if not all(part.isidentifier() for part in module.split(".")) or (colon and not rest.strip()):
        raise TargetError(f"{text!r}: write MODULE:APP, such as shop:app or shop:create_app()")
    return module, _parse_call(text, rest) if rest else None


def _parse_call(text: str, rest: str) -> Call:
    try:
        node = ast.parse(rest.strip(), mode="eval").body
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        called = isinstance(node, ast.Call)
        if isinstance(node, ast.Call):
            args = [ast.literal_eval(each) for each in node.args]
            kwargs = {str(each.arg): ast.literal_eval(each.value) for each in node.keywords}
            node = node.func
        path: list[str] = []
        while isinstance(node, ast.Attribute):
            path.insert(0, node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            raise ValueError
    except (SyntaxError, ValueError):
        raise TargetError(
            f"{text!r}: behind the colon stands a name, or a call with literal arguments such as create_app('x', n=1)"
        ) from None
    return Call([node.id, *path], args, kwargs, called)


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise ImportFailedError(_own_traceback(error)) from None  # of an import inside of it
        hint = f"; there is {near[0]!r}" if (near := get_close_matches(name, _modules_here(), 1)) else ""
        raise TargetError(
            f"there is no module {error.name!r} in {os.getcwd()} nor among the installed ones{hint}."
            " Start in the folder of the application, or give --chdir"
        ) from None
    except BaseException as error:  # also SystemExit: a module that ends the program is no application
        if isinstance(error, KeyboardInterrupt):
            raise
        raise ImportFailedError(_own_traceback(error)) from None


def _modules_here() -> list[str]:
    return [path.stem for path in Path().glob("*.py")] + [path.parent.name for path in Path().glob("*/__init__.py")]


def _default_of(module: ModuleType) -> Call:
    for name in NAMES:
        if hasattr(module, name):
            return Call([name], [], {}, name.startswith("create_"))
    raise TargetError(
        f"module {module.__name__!r} has none of the names {', '.join(NAMES)}: write {module.__name__}:NAME"
    )


def _made(text: str, module: ModuleType, call: Call) -> Any:
    found: Any = module
    for name in call.path:
        if not hasattr(found, name):
            hint = meant(name, dir(found))
            raise TargetError(f"{text!r}: {getattr(found, '__name__', found)!r} has no {name!r}{hint}")
        found = getattr(found, name)
    if not call.called:
        return found
    try:
        inspect.signature(found).bind(*call.args, **call.kwargs)
    except TypeError as error:
        raise TargetError(f"{text!r}: {'.'.join(call.path)} cannot be called like that: {error}") from None
    except ValueError:  # it has no signature that can be read
        pass
    try:
        return found(*call.args, **call.kwargs)
    except Exception as error:
        raise ImportFailedError(_own_traceback(error)) from None


def _application(text: str, found: Any) -> Application:
    from ..flask import SocketIO

    if isinstance(found, SocketIO):
        return Application(found._find_app(), found)
    if not callable(found):
        raise TargetError(f"{text!r} is {found!r}: that is no application")
    if inspect.iscoroutinefunction(found) or inspect.iscoroutinefunction(type(found).__call__):
        raise TargetError(f"{text!r} is an ASGI application; Greenwire serves WSGI, such as Flask")
    if inspect.isfunction(found) and _takes_nothing(found):
        raise TargetError(f"{text!r} is a function that makes an application: write {text}()")
    socketio = getattr(found, "extensions", {}).get("socketio")
    if socketio is not None and not isinstance(socketio, SocketIO):
        raise TargetError(
            f"{text!r} uses {type(socketio).__module__}.SocketIO: import SocketIO from greenwire.flask instead"
            " (docs/migrate.md), or try it as it is with python -m greenwire.compat"
        )
    return Application(found, socketio)


def _takes_nothing(fn: Callable[..., Any]) -> bool:
    """Whether it can be no WSGI application, which takes two arguments."""
    try:
        inspect.signature(fn).bind({}, None)
    except TypeError:
        return True
    return False


def _own_traceback(error: BaseException) -> str:
    """The traceback from the first line that is the user's own."""
    found: TracebackType | None = error.__traceback__
    while found is not None and found.tb_frame.f_code.co_filename.startswith(_OWN):
        found = found.tb_next
    return "".join(traceback.format_exception(type(error), error, found)).rstrip()


def prepare(options: CommandOptions) -> None:
    """Go to the folder of the application, and let its modules be found there. Raises :class:`ConfigurationError`."""
    if options.chdir is not None:
        try:
            os.chdir(options.chdir)
        except OSError as error:
            raise ConfigurationError(f"chdir {os.fspath(options.chdir)}: {error.strerror}") from None
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
