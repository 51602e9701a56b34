"""Greenwire with Flask handlers; ``--runner`` says what the handlers run in: threads, green, coroutine."""

from listening import arguments

given = arguments("runner")

if given.runner == "green":
    import greenwire.green

    greenwire.green.patch()

from flask_events import as_coroutine, build, unchanged  # noqa: E402

import greenwire.flask  # noqa: E402

app, socketio = build(greenwire.flask, given.namespaces, as_coroutine if given.runner == "coroutine" else unchanged)
tls = {"certfile": given.certificate} if given.certificate else {}
socketio.run(app, host="127.0.0.1", port=given.port, **tls)  # prints http://127.0.0.1:PORT
