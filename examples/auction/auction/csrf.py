"""Every form carries the session's own token, so that no other site can post in a visitor's name."""

import hmac
import secrets

from flask import Flask, abort, request, session

FIELD = "csrf_token"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def token() -> str:
    """The token of this session, made when a form first asks for it."""
    if not isinstance(session.get(FIELD), str):
        session[FIELD] = secrets.token_urlsafe(32)
    value: str = session[FIELD]
    return value


def _check() -> None:
    if request.method in _SAFE_METHODS:
        return
    expected, given = session.get(FIELD), request.form.get(FIELD, "")
    if not isinstance(expected, str) or not hmac.compare_digest(expected.encode(), given.encode()):
        abort(400, "This form is no longer valid. Reload the page and send it again.")


def init_app(app: Flask) -> None:
    """Check each request that changes something, before its view runs."""
    app.before_request(_check)
    app.jinja_env.globals["csrf_token"] = token
    app.jinja_env.globals["csrf_field"] = FIELD
