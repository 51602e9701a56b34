"""Accounts, sessions and forms that other sites cannot send."""

from collections.abc import Callable
from sqlite3 import Connection

import pytest
from auction_visitor import PASSWORD, Visitor
from flask import Flask
from flask.sessions import SecureCookieSessionInterface

from auction import create_app

New = Callable[[], Visitor]


def test_sign_up_log_out_log_in(ada: Visitor, visitor: New) -> None:
    assert "ada" in ada.get("/").text
    assert ada.post("/logout").status_code == 302
    assert ada.get("/purchases").status_code == 302
    again = visitor()
    assert again.post("/login", name="ADA", password=PASSWORD).status_code == 302
    assert again.get("/purchases").status_code == 200


@pytest.mark.parametrize(("name", "password"), [("ada", "wrong horse"), ("nobody", PASSWORD), ("ada", ""), ("", "")])
def test_a_wrong_name_or_password_says_only_that(ada: Visitor, visitor: New, name: str, password: str) -> None:
    answer = visitor().post("/login", name=name, password=password)
    assert answer.status_code == 400
    assert "The name or the password is wrong." in answer.text


@pytest.mark.parametrize(
    ("name", "password", "why"),
    [("al", PASSWORD, "3 to 24"), ("a" * 25, PASSWORD, "3 to 24"), ("a<b>c", PASSWORD, "3 to 24"),
     ("ada2", "short", "8 to 200"), ("ada2", "x" * 201, "8 to 200"), ("Ada", PASSWORD, "taken")],
)  # fmt: skip
def test_accounts_that_are_refused(ada: Visitor, visitor: New, name: str, password: str, why: str) -> None:
    answer = visitor().post("/signup", name=name, password=password)
    assert answer.status_code == 400
    assert why in answer.text


def test_passwords_and_logins_are_stored_as_hashes(ada: Visitor, app: Flask, connection: Connection) -> None:
    stored = connection.execute("SELECT password_hash FROM users").fetchone()["password_hash"]
    assert stored.startswith(("scrypt:", "pbkdf2:"))
    with ada.client.session_transaction() as session:
        token = session["login"]
    assert token not in "".join(row["digest"] for row in connection.execute("SELECT digest FROM logins"))


def test_the_session_cookie_is_out_of_reach(ada: Visitor, config: dict[str, object]) -> None:
    cookie = ada.get("/sell").headers.get("Set-Cookie") or ada.post("/logout").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie
    secure = create_app(config | {"AUCTION_SECURE": "1"}).test_client()
    assert "Secure" in secure.get("/login", base_url="https://localhost").headers["Set-Cookie"]


POSTS = ["/login", "/signup", "/logout", "/sell", "/items/1/bid", "/cart/1/add", "/cart/1/remove", "/cart/checkout"]


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("token", [None, "", "wrong", "ü"])
def test_a_form_without_the_sessions_token_does_nothing(ada: Visitor, path: str, token: str | None) -> None:
    ada.token()
    answer = ada.client.post(path, data={} if token is None else {"csrf_token": token})
    assert answer.status_code == 400
    assert "no longer valid" in answer.text


def test_a_token_of_another_session_does_not_help(ada: Visitor, visitor: New) -> None:
    ada.token()
    answer = ada.client.post("/logout", data={"csrf_token": visitor().token()})
    assert answer.status_code == 400


def test_the_token_changes_with_the_login(visitor: New) -> None:
    somebody = visitor()
    before = somebody.token()
    assert somebody.sign_up("grace").token() != before


@pytest.mark.parametrize("forge", ["garbage", "eyJsb2dpbiI6Ind4In0.Z.Z", ""])
def test_a_forged_cookie_is_nobody(app: Flask, forge: str) -> None:
    client = app.test_client()
    client.set_cookie("auction", forge)
    assert client.get("/purchases").status_code == 302
    assert client.get("/").status_code == 200


@pytest.mark.parametrize("login", ["unknown", 1, None, ["x"], {"a": 1}])
def test_a_signed_cookie_with_an_unknown_login_is_nobody(app: Flask, login: object) -> None:
    signer = SecureCookieSessionInterface().get_signing_serializer(app)
    assert signer is not None
    client = app.test_client()
    client.set_cookie("auction", signer.dumps({"login": login, "csrf_token": 5}))
    assert client.get("/purchases").status_code == 302
    assert client.get("/login").status_code == 200


def test_a_copy_of_the_cookie_dies_with_the_log_out(ada: Visitor, app: Flask) -> None:
    cookie = ada.client.get_cookie("auction")
    assert cookie is not None
    thief = app.test_client()
    thief.set_cookie("auction", cookie.value)
    assert thief.get("/purchases").status_code == 200
    ada.post("/logout")
    assert thief.get("/purchases").status_code == 302


@pytest.mark.parametrize(
    ("target", "location"),
    [("/cart", "/cart"), ("/?q=lamp", "/?q=lamp"), ("", "/"), ("//evil.example", "/"), ("https://evil.example/", "/"),
     ("/\\evil.example", "/"), ("/\t/evil.example", "/"), ("javascript:alert(1)", "/"), ("cart", "/")],
)  # fmt: skip
def test_logging_in_leads_only_to_our_own_pages(ada: Visitor, visitor: New, target: str, location: str) -> None:
    answer = visitor().post("/login", name="ada", password=PASSWORD, next=target)
    assert answer.headers["Location"] == location


def test_the_secret_key_is_made_once(config: dict[str, object]) -> None:
    keys = {create_app(config).secret_key for _ in range(2)}
    assert len(keys) == 1
    assert len(keys.pop() or "") == 32
