"""gevent's WSGI server."""

from gevent import monkey

monkey.patch_all()

from gevent import pywsgi  # noqa: E402
from listening import arguments, listening_socket  # noqa: E402
from wsgi_app import app  # noqa: E402

pywsgi.WSGIServer(listening_socket(arguments().port), app, log=None).serve_forever()
