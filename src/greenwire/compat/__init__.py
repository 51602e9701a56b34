"""Try Greenwire on an application written for Flask-SocketIO, without touching it.

::

    python -m greenwire.compat server.py [arguments]
    python -m greenwire.compat -m package.module [arguments]

runs the script or module as Python would, with these imports answered differently:

- ``flask_socketio`` is ``greenwire.flask``: the same objects, so ``isinstance`` and ``except`` work. So are the
  exceptions of ``socketio.exceptions``.
- ``eventlet`` and ``gevent`` are stand-ins, installed or not. ``eventlet.monkey_patch()`` and
  ``gevent.monkey.patch_all()`` do nothing and say so; ``sleep``, ``spawn`` and their kin use threads.
- A ``TypeError`` inside a connect or disconnect handler calls it again with fewer arguments, as Flask-SocketIO
  does, with a warning that names the line. ``greenwire.flask`` without this rightly does not.

What is said, is said on standard error, once for each line of the application: it is the list of what to change
(see docs/migrate.md). Processes that the application starts by itself are not affected.
"""

from .finder import install

__all__ = ["install"]
