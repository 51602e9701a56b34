"""``async_handlers=False``: what one client causes is handled in order, one thing at a time.

Each client has a lane: connect, events, callbacks and disconnect of all its namespaces wait in it for each other.
Clients do not wait for other clients. A ``call()`` in a handler still gets its answer: that needs no handler.
"""

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from .client import Client, Event, Member
from .dispatch import Dispatcher
from .handlers import Handler


class _Call(NamedTuple):
    """Something to be run: a function in a runner, or one that gives a coroutine."""

    fn: Callable[..., Any]
    args: tuple[Any, ...]
    is_async: bool


class OrderedDispatcher(Dispatcher):
    """A dispatcher whose clients each have a lane. Loop thread, but for the two that run."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lanes: dict[Client, deque[_Call]] = {}  # of clients for whom something runs

    def _start_event(self, handler: Handler, event: Event) -> None:
        run: Callable[..., Any] = self._run_event_async if handler.is_async else self._run_event
        self._put(event.member.client, _Call(run, (handler, event), handler.is_async))

    def start_callback(self, member: Member, callback: Callable[..., object], args: list[Any]) -> None:
        self._take_in(member.client)
        self._put(member.client, _Call(self._run_callback, (callback, member, args), False))

    def _start(
        self,
        run: Callable[[Handler, Member, list[Any]], None],
        run_async: Callable[[Handler, Member, list[Any]], Coroutine[Any, Any, None]],
        handler: Handler,
        member: Member,
        args: list[Any],
    ) -> None:
        chosen: Callable[..., Any] = run_async if handler.is_async else run
        self._put(member.client, _Call(chosen, (handler, member, args), handler.is_async))

    # --- the lane

    def _put(self, client: Client, call: _Call) -> None:
        lane = self._lanes.get(client)
        if lane is not None:
            lane.append(call)
            return
        self._lanes[client] = deque()
        self._begin(client, call)

    def _begin(self, client: Client, call: _Call) -> None:
        if call.is_async:
            self._tasks.start(self._await(client, call))
        else:
            self._runner.start(self._run, client, call)

    def _run(self, client: Client, call: _Call) -> None:
        call.fn(*call.args)
        self._loop.post(self._next, client)

    async def _await(self, client: Client, call: _Call) -> None:
        try:
            await call.fn(*call.args)
        finally:  # also when the task is cancelled
            self._next(client)

    def _next(self, client: Client) -> None:
        lane = self._lanes[client]
        if lane:
            self._begin(client, lane.popleft())
        else:
            del self._lanes[client]
