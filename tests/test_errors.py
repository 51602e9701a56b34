"""The tree that errors.py draws is the tree that it defines."""

import builtins
import inspect
import re

import pytest

from greenwire import errors


def drawn() -> dict[str, str | None]:
    """Each name of the drawing with its parent's."""
    parents: dict[str, str | None] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"    ((?:│   |    )*)(├── |└── )?([A-Z]\w+)", line)
        if match:
            depth = len(match[1]) // 4 + bool(match[2])
            path[depth:] = [match[3]]
            parents[match[3]] = path[depth - 1] if depth else None
    return parents


def defined() -> dict[str, type[Exception]]:
    return {
        name: value
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, Exception) and value.__module__ == errors.__name__
    }


def test_every_error_is_drawn_and_every_drawn_error_exists():
    assert set(drawn()) == set(defined())
    assert len(drawn()) > 10


@pytest.mark.parametrize(("name", "parent"), drawn().items())
def test_the_drawn_tree_is_the_real_one(name, parent):
    bases = [base.__name__ for base in defined()[name].__bases__ if base.__module__ == errors.__name__]
    assert bases == ([parent] if parent else [])


@pytest.mark.parametrize("name", sorted(defined()))
def test_every_error_says_who_is_at_fault(name):
    assert defined()[name].__doc__
    assert issubclass(defined()[name], errors.GreenwireError)


@pytest.mark.parametrize(
    ("error", "also"),
    [
        (errors.ConfigurationError, ValueError),
        (errors.BindError, ValueError),
        (errors.ContextError, RuntimeError),
        (errors.EncodeError, TypeError),
        (errors.NotRunningError, RuntimeError),
        (errors.TruncatedBodyError, OSError),
    ],
)
def test_what_a_caller_may_catch_without_knowing_us(error, also):
    assert issubclass(error, also)


@pytest.mark.parametrize("name", ["ConnectionError", "ConnectionRefusedError", "TimeoutError"])
def test_names_shared_with_python_are_not_python_s_own(name):
    assert not issubclass(getattr(errors, name), getattr(builtins, name))


def test_a_protocol_error_carries_its_answer():
    error = errors.RemoteProtocolError("bad key")
    assert (str(error), error.status, error.close_code) == ("bad key", 400, 1002)
    error = errors.RemoteProtocolError("version", status=426, close_code=1003)
    assert (error.status, error.close_code) == (426, 1003)


@pytest.mark.parametrize(
    ("args", "payload"),
    [
        ((), {"message": "Connection rejected by server"}),
        (("no",), {"message": "no"}),
        ((42,), {"message": "42"}),
        (("no", None), {"message": "no", "data": None}),
        (("no", {"code": 7}), {"message": "no", "data": {"code": 7}}),
        (("no", 1, 2), {"message": "no", "data": [1, 2]}),
    ],
)
def test_a_refusal_as_the_client_sees_it(args, payload):
    assert errors.ConnectionRefusedError(*args).error_args == payload
