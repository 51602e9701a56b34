"""What an application has done for every event: ``on_any``, ``before_event``, ``before_connect``.

Hooks run where the handler runs, in its context, in the order in which they were registered: first those of
``on_any``, which only look, then those of ``before_event``, of which the first that returns something has answered
in the handler's place. For a connection those of ``before_connect`` run instead.
"""

import copy
from collections.abc import Callable
from typing import Any

from ..socketio.handlers import Handler, finished, takes_one

Hook = Callable[..., Any]


class Hooks:
    """The hooks of one ``SocketIO``."""

    def __init__(self) -> None:
        self.on_any: list[Hook] = []
        self.before_event: list[Hook] = []
        self.before_connect: list[tuple[Hook, bool]] = []  # and whether it takes `auth`

    def add_before_connect(self, fn: Hook) -> None:
        """Raises :class:`greenwire.errors.ConfigurationError` where *fn* takes neither nothing nor one argument."""
        self.before_connect.append((fn, takes_one("the before_connect hook", fn, "auth")))

    def around(self, handler: Handler, name: str, args: list[Any]) -> Handler:
        """*handler* with the hooks before it."""

        def run(*given: Any) -> Any:
            for hook, offered, decides in self._hooks(name, args):
                answer = finished(hook(*offered))
                if decides(answer):
                    return answer
            return handler.fn(*given)

        return _with(handler, run)

    def around_async(self, handler: Handler, name: str, args: list[Any]) -> Handler:
        """Likewise, on the loop."""

        async def run(*given: Any) -> Any:
            for hook, offered, decides in self._hooks(name, args):
                answer = hook(*offered)
                if hasattr(answer, "__await__"):
                    answer = await answer
                if decides(answer):
                    return answer
            return await handler.fn(*given)

        return _with(handler, run)

    def _hooks(self, name: str, args: list[Any]) -> list[tuple[Hook, list[Any], Callable[[Any], bool]]]:
        """Each with its arguments, and with what tells whether its answer is the last word."""
        if name == "disconnect":
            return []
        if name == "connect":
            return [(fn, args if takes_auth else [], _refuses) for fn, takes_auth in self.before_connect]
        given = [name, *args]
        looking: list[tuple[Hook, list[Any], Callable[[Any], bool]]] = [(fn, given, _never) for fn in self.on_any]
        return looking + [(fn, given, _answers) for fn in self.before_event]


def _with(handler: Handler, fn: Hook) -> Handler:
    changed = copy.copy(handler)
    changed.fn = fn
    return changed


def _refuses(answer: Any) -> bool:
    return answer is False


def _answers(answer: Any) -> bool:
    return answer is not None


def _never(answer: Any) -> bool:
    return False
