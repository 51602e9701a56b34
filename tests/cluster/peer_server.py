"""A server of python-socketio on the queue of a URL; its clients have it do what it is to do."""

import sys

import socketio
from werkzeug.serving import make_server


def main(url: str) -> None:
    server = socketio.Server(
        async_mode="threading", client_manager=socketio.RedisManager(url, channel="flask-socketio")
    )

    @server.on("join")
    def join(sid, room):
        server.enter_room(sid, room)
        return "joined"

    @server.on("tell")
    def tell(sid, room, *args):
        server.emit("told", args, to=room)

    @server.on("ask")
    def ask(sid, other):
        server.emit("question", "?", to=other, callback=lambda *args: server.emit("answer", args, to=sid))

    @server.on("move")
    def move(sid, other, room):
        server.enter_room(other, room)

    @server.on("put out")
    def put_out(sid, other):
        server.disconnect(other)

    web = make_server("127.0.0.1", 0, socketio.WSGIApp(server), threaded=True)
    print(f"listens on http://127.0.0.1:{web.port}", file=sys.stderr, flush=True)
    web.serve_forever()


main(sys.argv[1])
