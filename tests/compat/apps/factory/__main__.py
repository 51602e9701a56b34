"""``python -m factory PORT``"""

import sys

from . import create_app, socketio

app = create_app(debug=False)

if __name__ == "__main__":
    socketio.run(app, port=int(sys.argv[1]), use_reloader=False, allow_unsafe_werkzeug=True)
