"""Files in pieces, as binary events, in an application made for gevent."""
# ruff: noqa: E402

from gevent import monkey

monkey.patch_all()

import hashlib
import sys
import tempfile
from pathlib import Path

import gevent
from flask import Flask, request
from flask_socketio import SocketIO, emit

app = Flask(__name__)
app.config["SECRET_KEY"] = "not a secret"
socketio = SocketIO(app, max_http_buffer_size=2_000_000)
folder = tempfile.TemporaryDirectory()


@socketio.on("start upload")
def start(name, size):
    path = Path(folder.name) / f"{request.sid}-{len(list(Path(folder.name).iterdir()))}"
    with path.open("wb") as file:
        file.truncate(size)
    return path.name


@socketio.on("write")
def write(name, offset, data):
    with (Path(folder.name) / name).open("r+b") as file:
        file.seek(offset)
        file.write(data)
    emit("written", {"name": name, "offset": offset, "bytes": len(data)})
    return True


@socketio.on("finish")
def finish(name):
    job = gevent.spawn(checksum, Path(folder.name) / name)
    gevent.sleep(0)
    gevent.joinall([job])
    return job.get()


def checksum(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@socketio.on("download")
def download(name, piece):
    content = (Path(folder.name) / name).read_bytes()
    pieces = [content[start : start + piece] for start in range(0, len(content), piece)]
    emit("file", {"name": name, "pieces": pieces})


@socketio.on("disconnect")
def forget():
    for path in Path(folder.name).glob(f"{request.sid}-*"):
        path.unlink()


if __name__ == "__main__":
    socketio.run(app, host="127.0.0.1", port=int(sys.argv[1]))
