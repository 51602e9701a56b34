"""What this layer needs of those below and above it. A test, or the test client, brings others."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeVar

from ..engineio.packet import Outgoing
from ..engineio.session import Reason
from .client import Member
from .handlers import Handler

T = TypeVar("T")


class PeerLike(Protocol):
    """What this layer needs of an Engine.IO client."""

    owner: Any
    on_message: Callable[[Any, str | bytes], None]
    on_close: Callable[[Any, Reason], None]

    @property
    def writable(self) -> bool: ...
    def send(self, packet: Outgoing) -> None: ...
    def close(self, reason: Reason = ...) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...


class LoopLike(Protocol):
    """What this layer needs of :class:`greenwire.loop.Loop`; a test client brings one of its own."""

    @property
    def now(self) -> Callable[[], float]: ...
    @property
    def here(self) -> bool: ...
    def post(self, fn: Callable[..., object], *args: Any) -> None: ...
    def ask(self, fn: Callable[..., T], *args: Any) -> T: ...
    def call_later(self, delay_s: float, fn: Callable[..., object], *args: Any) -> Any: ...


class Tasks(Protocol):
    """What this layer needs of :class:`greenwire.runners.TaskRunner`."""

    def start(self, coroutine: Coroutine[Any, Any, object]) -> None: ...


class Complaints(Protocol):
    """What this layer needs of :class:`greenwire.quiet.QuietLog`."""

    def warning(self, key: str, message: str, *args: object) -> None: ...
    def error(self, key: str, exception: BaseException, message: str, *args: object) -> None: ...


class Face(Protocol):
    """How user code is called. *args* are those of the event, without name."""

    def run(self, handler: Handler, member: Member, name: str, args: list[Any]) -> Any:
        """Call ``handler.fn`` in a runner. May raise what the user's code raises."""

    def run_async(self, handler: Handler, member: Member, name: str, args: list[Any]) -> Awaitable[Any]:
        """Likewise, for an ``async def`` handler, on the loop."""

    def run_callback(self, callback: Callable[..., object], member: Member, args: list[Any]) -> None:
        """Call what the user gave as ``callback=`` with the client's answer."""
