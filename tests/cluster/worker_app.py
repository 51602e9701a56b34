"""One worker: ``worker_app.py DIRECTORY NUMBER DESCRIPTOR [QUEUE_URL] [CERTIFICATE KEY]``.

It accepts from the inherited socket, and from one of its own whose port it prints: so that a test can choose a worker.
"""

import os
import socket
import sys

import flask
from flask import request

from greenwire.errors import DisconnectedError
from greenwire.flask import SocketIO, call, close_room, disconnect, emit, join_room, leave_room, rooms
from greenwire.processes.lifeline import Worker
from greenwire.run_options import RunOptions


def make(number: int, queue: str | None) -> SocketIO:
    app = flask.Flask("worker")
    app.secret_key = "not a secret"
    socketio = SocketIO(app, message_queue=queue, ping_interval=5, ping_timeout=15)

    @app.route("/worker")
    def worker():
        return f"{number}"

    @app.route("/others")
    def others_there():
        return socketio._service.loop.ask(lambda: socketio._service.cluster.others)

    @app.route("/who", methods=["GET", "POST"])
    def who():
        body = request.get_data(as_text=True)
        return {"worker": number, "peer": request.remote_addr, "scheme": request.scheme, "body": body}

    @socketio.on("worker")
    def which():
        return number

    @socketio.on("join")
    def join(room, sid=None):
        join_room(room, sid, "/")
        return rooms() if sid is None else None

    @socketio.on("leave")
    def leave(room, sid):
        leave_room(room, sid, "/")

    @socketio.on("close")
    def close(room):
        close_room(room)

    @socketio.on("rooms")
    def rooms_of(sid):
        try:
            return rooms(sid, "/")
        except Exception as error:
            return type(error).__name__

    @socketio.on("rooms async")
    async def rooms_async(sid):
        try:
            return rooms(sid, "/")
        except Exception as error:
            return type(error).__name__

    @socketio.on("tell")
    def tell(event, args, options):
        emit(event, tuple(args), broadcast=True, **options)

    @socketio.on("tell big")
    def tell_big(size):
        emit("x", "x" * size, to="nobody")

    @socketio.on("ask")
    def ask(sid, timeout=15):
        try:
            return call("question", b"?", to=sid, timeout=timeout)
        except DisconnectedError:
            return "DisconnectedError"
        except Exception as error:
            return type(error).__name__

    @socketio.on("ask all")
    def ask_all(options=None):
        mine = request.sid
        silent = []

        def answered(*args):
            socketio.emit("answer", args, to=mine)

        def late(sid):
            silent.append(sid)
            socketio.emit("late", sid, to=mine)

        timed = {"timeout": options, "on_timeout": late} if options else {}
        socketio.emit("question", b"?", skip_sid=mine, callback=answered, **timed)

    @socketio.on("put out")
    def put_out(sid):
        disconnect(sid, "/")

    @socketio.on("connections")
    def connections():
        return sorted([seen.sid, seen.transport, sorted(map(str, seen.rooms))] for seen in socketio.connections())

    @socketio.on("die")
    def die():
        os._exit(1)

    @socketio.on("hang")
    def hang():
        def stand_still():
            print("stands still", file=sys.stderr, flush=True)
            os.read(pipe_of_nobody[0], 1)

        socketio._service.loop.post(stand_still)

    @socketio.on("pid")
    def pid():
        return os.getpid()

    @socketio.on("others")
    def others():
        return socketio._service.loop.ask(lambda: socketio._service.cluster.others)

    return socketio


pipe_of_nobody = os.pipe()


def main(directory: str, number: str, descriptor: str, queue: str = "", certificate: str = "", key: str = "") -> None:
    own = socket.create_server(("127.0.0.1", 0))
    own.setblocking(False)
    shared = socket.socket(fileno=int(descriptor))
    worker = Worker(int(number), 3, directory, sockets=[own, shared])
    socketio = make(int(number), queue or None)
    given = {"limits": {"worker_message_bytes": 2_000_000, "worker_queued_bytes": 4_000_000}}
    given |= {"certfile": certificate, "keyfile": key} if certificate else {}
    options = RunOptions.take(given, host=None, port=None, server_name=None)
    print(f"own port {own.getsockname()[1]}", file=sys.stderr, flush=True)
    socketio.serve(socketio._find_app(), options, worker)


if __name__ == "__main__":
    main(*sys.argv[1:])
