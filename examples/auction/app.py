"""Run the auction house:  python examples/auction/app.py

HOST and PORT say where: 127.0.0.1 and 5000 if unset; port 0 takes a free one.
auction/settings.py lists the other settings.
"""

import os
from pathlib import Path

from flask import Flask

from auction import create_app, db, seed
from greenwire.flask import SocketIO


def main() -> None:
    """Open the house and serve it until it is interrupted."""
    host, port = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "5000"))
    app = create_app()
    print(_greeting(app), flush=True)
    socketio: SocketIO = app.extensions["socketio"]
    socketio.run(app, host=host, port=port)  # says the address and how handlers run, once it listens


def _greeting(app: Flask) -> str:
    lines = [f"  Data           {app.config['AUCTION_DATA']}", *_demo(app), *_missing_client(app)]
    return "\n".join(["Lot & Found, the auction house", *lines, ""])


def _demo(app: Flask) -> list[str]:
    with app.app_context():
        accounts = seed.accounts_left(db.get())
    return [f"  Demo account   {name}, password {password}" for name, password in accounts]


def _missing_client(app: Flask) -> list[str]:
    path = Path(app.config["SOCKETIO_JS"])
    if path.is_file():
        return []
    return [
        f"  No live updates: {path} is missing.",
        "  Run `npm ci` at the top of the repository, or point SOCKETIO_JS at a socket.io.min.js.",
    ]


if __name__ == "__main__":
    main()
