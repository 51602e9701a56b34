"""``supervised_app.py WORKERS``: the workers' application under a supervisor."""

import os
import sys

from worker_app import make

if __name__ == "__main__":
    socketio = make(os.getpid(), None)
    socketio.run(socketio._find_app(), port=0, workers=int(sys.argv[1]))
