"""Registration: signatures looked at once, and who is called for what."""

from functools import partial, wraps

import pytest

from greenwire.errors import ConfigurationError
from greenwire.socketio.handlers import Handlers, describe, normal_namespace


def nothing(): ...
def one(auth): ...
def optional(auth=None): ...
def any_number(*args): ...
def two(a, b): ...
def two_optional(a, b=None): ...
def keyword(*, key): ...
def keyword_optional(auth, *, key=1): ...
async def coroutine(reason): ...
async def coroutine_nothing(): ...


def logged(fn):
    @wraps(fn)
    def inner(*args, **kwargs):
        return fn(*args, **kwargs)

    return inner


class Callee:
    def __call__(self, auth): ...

    def method(self): ...

    @classmethod
    def of_class(cls, auth): ...

    @staticmethod
    def of_nobody(): ...


class AsyncCallee:
    async def __call__(self, auth): ...


@pytest.mark.parametrize("event", ["connect", "disconnect"])
@pytest.mark.parametrize(
    ("fn", "takes_extra", "is_async"),
    [
        (nothing, False, False),
        (one, True, False),
        (optional, True, False),
        (any_number, True, False),
        (two_optional, True, False),
        (keyword_optional, True, False),
        (coroutine, True, True),
        (coroutine_nothing, False, True),
        (lambda: None, False, False),
        (lambda auth: None, True, False),
        (logged(nothing), False, False),
        (logged(one), True, False),
        (partial(two, 1), True, False),
        (partial(one, 1), False, False),
        (partial(coroutine, 1), False, True),
        (partial(coroutine), True, True),
        (Callee(), True, False),
        (AsyncCallee(), True, True),
        (Callee().method, False, False),
        (Callee().of_class, True, False),
        (Callee.of_class, True, False),
        (Callee.of_nobody, False, False),
        (print, True, False),
        (dict, True, False),  # written in C, without a signature
        ([].append, True, False),
        ([].clear, False, False),
    ],
)
def test_signatures(event, fn, takes_extra, is_async):
    handler = Handlers().add(event, fn)
    assert (handler.takes_extra, handler.is_async) == (takes_extra, is_async)
    assert handler.fn is fn


@pytest.mark.parametrize(
    ("fn", "takes_extra"), [(one, False), (two, True), (two_optional, True), (any_number, True), (logged(two), True)]
)
def test_signatures_where_the_sid_comes_first(fn, takes_extra):
    assert Handlers(arguments_before=1).add("connect", fn).takes_extra is takes_extra


@pytest.mark.parametrize("fn", [two, keyword, lambda a, b, c: None, logged(two), partial(two)])
@pytest.mark.parametrize(("event", "argument"), [("connect", "auth"), ("disconnect", "reason")])
def test_impossible_signatures_are_errors_that_name_the_function(event, argument, fn):
    with pytest.raises(ConfigurationError) as caught:
        Handlers().add(event, fn)
    said = str(caught.value)
    assert describe(fn) in said
    assert event in said
    assert f"({argument})" in said
    assert describe(two) == f"two ({__file__}:{two.__code__.co_firstlineno})"


def test_impossible_signatures_where_the_sid_comes_first():
    with pytest.raises(ConfigurationError, match=r"nothing .*\(sid\) or with \(sid, auth\)"):
        Handlers(arguments_before=1).add("connect", nothing)


def test_events_take_what_the_client_sends_so_their_signature_is_not_judged():
    for fn in (nothing, two, dict):
        assert Handlers().add("bid", fn).takes_extra


@pytest.mark.parametrize("fn", [None, "fn", 1])
def test_what_is_no_function(fn):
    with pytest.raises(ConfigurationError, match="bid"):
        Handlers().add("bid", fn)


@pytest.mark.parametrize("event", [None, 1, b"bid"])
def test_what_is_no_name(event):
    with pytest.raises(ConfigurationError, match="event name"):
        Handlers().add(event, nothing)


# --- who is called

H = ("/", "/chat", "*")


@pytest.mark.parametrize(
    ("registered", "namespace", "event", "found"),
    [
        # most specific first
        ([("/", "bid"), ("/", "*"), ("*", "bid"), ("*", "*")], "/", "bid", ("/", "bid")),
        ([("/", "*"), ("*", "bid"), ("*", "*")], "/", "bid", ("/", "*")),
        ([("*", "bid"), ("*", "*")], "/", "bid", ("*", "bid")),
        ([("*", "*")], "/", "bid", ("*", "*")),
        ([("*", "*")], "/chat", "bid", ("*", "*")),
        ([("/", "other"), ("*", "bid")], "/", "bid", ("*", "bid")),
        # a handler of one namespace is for that one
        ([("/", "bid"), ("/", "*")], "/chat", "bid", None),
        ([("/chat", "bid")], "/", "bid", None),
        ([], "/", "bid", None),
        # catch-alls do not get connect and disconnect, but any namespace may have them
        ([("/", "*"), ("*", "*")], "/", "connect", None),
        ([("/", "*"), ("*", "*")], "/", "disconnect", None),
        ([("*", "connect"), ("/", "*")], "/", "connect", ("*", "connect")),
        ([("/", "connect"), ("*", "connect")], "/", "connect", ("/", "connect")),
        ([("*", "disconnect")], "/chat", "disconnect", ("*", "disconnect")),
    ],
)
def test_dispatch_order(registered, namespace, event, found):
    handlers = Handlers()
    for where, name in registered:
        handlers.add(name, lambda *args: None, where)
    handler = handlers.find(namespace, event)
    assert (handler and (handler.namespace, handler.event)) == found


def test_a_later_registration_replaces_the_earlier_one():
    handlers = Handlers()
    handlers.add("bid", one)
    handlers.add("bid", nothing)
    assert handlers.find("/", "bid").fn is nothing


@pytest.mark.parametrize(
    ("opened", "registered", "namespace", "accepted"),
    [
        ((), [], "/", True),
        ((), [], "/chat", False),
        ((), ["/chat"], "/chat", True),
        ((), ["*"], "/chat", False),  # a catch-all waits for clients, it does not invite them
        ("*", [], "/chat", True),
        (["*"], [], "/chat", True),
        ("/chat", [], "/chat", True),
        (["/a", "/b"], [], "/b", True),
        (["/a"], [], "/b", False),
    ],
)
def test_which_namespaces_clients_may_join(opened, registered, namespace, accepted):
    handlers = Handlers(opened)
    for where in registered:
        handlers.add("bid", nothing, where)
    assert handlers.accepts(namespace) is accepted


@pytest.mark.parametrize(("given", "normal"), [(None, "/"), ("", "/"), ("/", "/"), ("/chat", "/chat"), ("*", "*")])
def test_namespaces(given, normal):
    assert normal_namespace(given) == normal


@pytest.mark.parametrize("given", ["chat", "chat/", "/a,b", "/a?b", 1, b"/chat", "**", "/a\x1eb"])
def test_what_is_no_namespace(given):
    with pytest.raises(ConfigurationError, match="namespace="):
        normal_namespace(given)
