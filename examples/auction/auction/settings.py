"""Where the settings come from: defaults, then the environment, then `create_app(config)`."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_EXAMPLE = Path(__file__).resolve().parents[1]
_REPOSITORY = _EXAMPLE.parents[1]

MEGABYTE = 1_000_000

DEFAULTS: dict[str, str] = {
    "AUCTION_DATA": str(_EXAMPLE / "instance"),  # the database, the photos, the secret key
    "AUCTION_TRANSPORTS": "",  # for example "polling"; empty leaves the choice to the Socket.IO client
    "AUCTION_SECURE": "",  # "1" where the house is reached by https only
    "AUCTION_DEMO": "1",  # demo accounts and items in an empty house
    "SOCKETIO_JS": str(_REPOSITORY / "node_modules/socket.io-client/dist/socket.io.min.js"),
}


def load(config: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The Flask configuration. The data directory and the secret key exist afterwards."""
    chosen: dict[str, Any] = {name: os.environ.get(name, default) for name, default in DEFAULTS.items()}
    chosen |= config or {}
    data = Path(chosen["AUCTION_DATA"]).resolve()
    (data / "photos").mkdir(parents=True, exist_ok=True)
    return {
        "SECRET_KEY": _secret_key(data / "secret_key"),
        "DATABASE": str(data / "auction.sqlite3"),
        "PHOTOS": str(data / "photos"),
        "MAX_PHOTO_BYTES": 5 * MEGABYTE,
        "MAX_CONTENT_LENGTH": 6 * MEGABYTE,  # a photo and the fields around it
        "SESSION_COOKIE_NAME": "auction",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": is_on(chosen["AUCTION_SECURE"]),
    } | chosen


def is_on(value: object) -> bool:
    """Whether a setting, which may come from the environment, says yes."""
    return str(value).strip().lower() in {"1", "true", "yes", "on"}


def _secret_key(path: Path) -> bytes:
    """Read the key, or make it once.

    `link` refuses a name that exists, so of two starts at once the first one's key stays.
    """
    if not path.exists():
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_bytes()
