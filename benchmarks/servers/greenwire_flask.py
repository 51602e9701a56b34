"""Greenwire with Flask handlers; ``--runner`` says what the handlers run in."""

import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=0)
parser.add_argument("--runner", choices=("threads", "green", "coroutine"), default="threads")
given = parser.parse_args()

if given.runner == "green":
    import greenwire.green

    greenwire.green.patch()

from flask_events import as_coroutine, build  # noqa: E402

import greenwire.flask  # noqa: E402

handlers = {"wrap": as_coroutine} if given.runner == "coroutine" else {}
app, socketio = build(greenwire.flask, **handlers)
socketio.run(app, host="127.0.0.1", port=given.port)  # prints http://127.0.0.1:PORT
