"""Who is who: sign up, log in, log out, and the person behind the current request or event."""

import hashlib
import re
import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, wraps
from typing import ParamSpec
from urllib.parse import urlsplit

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from werkzeug.security import check_password_hash, generate_password_hash

from . import clock, db

pages = Blueprint("accounts", __name__)

_P = ParamSpec("_P")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,23}")
_PASSWORD_CHARACTERS = range(8, 201)
_LOGIN_LASTS = 30 * clock.DAY
_SESSION_KEY = "login"


class AccountRefused(Exception):
    """The account cannot be made; the message says why, for the person who asked."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with an account."""

    id: int
    name: str


def create(connection: sqlite3.Connection, name: str, password: str) -> User:
    """Make an account. Raises `AccountRefused`."""
    if not _NAME.fullmatch(name):
        raise AccountRefused("A name has 3 to 24 letters, digits, dots, dashes or underscores.")
    if len(password) not in _PASSWORD_CHARACTERS:
        raise AccountRefused("A password has 8 to 200 characters.")
    try:
        row = connection.execute(
            "INSERT INTO users (name, password_hash, joined_at) VALUES (?, ?, ?) RETURNING id",
            (name, generate_password_hash(password), clock.now()),
        ).fetchone()
    except sqlite3.IntegrityError:
        raise AccountRefused("That name is taken.") from None
    return User(row["id"], name)


def check(connection: sqlite3.Connection, name: str, password: str) -> User | None:
    """The user with this name and password, if there is one."""
    row = connection.execute("SELECT * FROM users WHERE name = ?", (name,)).fetchone()
    # An unknown name costs a hash too, so the time of the answer does not tell which names exist.
    stored = row["password_hash"] if row else _hash_of_nobody()
    if len(password) in _PASSWORD_CHARACTERS and check_password_hash(stored, password) and row:
        return User(row["id"], row["name"])
    return None


@cache
def _hash_of_nobody() -> str:
    return generate_password_hash(secrets.token_hex(16))


def log_in(connection: sqlite3.Connection, user: User) -> None:
    """Start a fresh session for the user in this browser."""
    token, now = secrets.token_urlsafe(32), clock.now()
    connection.execute("DELETE FROM logins WHERE expires_at < ?", (now,))
    connection.execute("INSERT INTO logins VALUES (?, ?, ?)", (_digest(token), user.id, now + _LOGIN_LASTS))
    session.clear()
    session[_SESSION_KEY] = token


def log_out(connection: sqlite3.Connection) -> None:
    """End this browser's login, in its open tabs and sockets too."""
    connection.execute("DELETE FROM logins WHERE digest = ?", (_digest(session.get(_SESSION_KEY)),))
    session.clear()


def current_user() -> User | None:
    """Who sent this request or event.

    A socket keeps the session it was opened with, so the answer comes from the table of logins each time:
    after a log-out in one tab, no other tab can bid.
    """
    row = (
        db.get()
        .execute(
            "SELECT users.id, users.name FROM logins JOIN users ON users.id = logins.user_id"
            " WHERE digest = ? AND expires_at > ?",
            (_digest(session.get(_SESSION_KEY)), clock.now()),
        )
        .fetchone()
    )
    return User(row["id"], row["name"]) if row else None


def _digest(token: object) -> str:
    return hashlib.sha256(str(token).encode()).hexdigest()


def login_required(view: Callable[..., ResponseReturnValue]) -> Callable[..., ResponseReturnValue]:
    """Give the view the user as its first argument, or send the visitor to the log-in page."""

    @wraps(view)
    def guarded(*args: object, **kwargs: object) -> ResponseReturnValue:
        user = current_user()
        if user is None:
            back = request.full_path.rstrip("?") if request.method == "GET" else request.form.get("next", "")
            return redirect(url_for("accounts.login", next=back))
        return view(user, *args, **kwargs)

    return guarded


def local_target(target: str | None) -> str:
    """The path to go to after logging in, if it is one of our own, or the front page.

    Browsers read `//host`, `/\\host` and a tab between them as another host, so only plain paths pass.
    """
    plain = target and target.startswith("/") and target.isprintable() and "\\" not in target
    if plain and target and not target.startswith("//") and not urlsplit(target).netloc:
        return target
    return url_for("shop.browse")


@pages.get("/signup")
def signup() -> ResponseReturnValue:
    """The form that makes an account."""
    return _form(is_new=True)


@pages.get("/login")
def login() -> ResponseReturnValue:
    """The form that logs in."""
    return _form(is_new=False)


def _form(*, is_new: bool, status: int = 200) -> ResponseReturnValue:
    return render_template("account.html", is_new=is_new, next=request.values.get("next", "")), status


@pages.post("/signup")
def create_account() -> ResponseReturnValue:
    """Make the account and log it in."""
    try:
        user = create(db.get(), request.form.get("name", "").strip(), request.form.get("password", ""))
    except AccountRefused as refusal:
        flash(str(refusal), "error")
        return _form(is_new=True, status=400)
    log_in(db.get(), user)
    flash(f"Welcome, {user.name}.", "good")
    return redirect(local_target(request.form.get("next")))


@pages.post("/login")
def enter() -> ResponseReturnValue:
    """Log in."""
    user = check(db.get(), request.form.get("name", "").strip(), request.form.get("password", ""))
    if user is None:
        flash("The name or the password is wrong.", "error")
        return _form(is_new=False, status=400)
    log_in(db.get(), user)
    return redirect(local_target(request.form.get("next")))


@pages.post("/logout")
def logout() -> ResponseReturnValue:
    """Log out."""
    log_out(db.get())
    flash("You are logged out.", "good")
    return redirect(url_for("shop.browse"))
