"""A request that was a WSGI environ before it came to us: of a test client, or of another WSGI server."""

from typing import Any

from ..http.request import Request

_NAMES = {"CONTENT_TYPE": "content-type", "CONTENT_LENGTH": "content-length"}


class GivenRequest(Request):
    """Handlers see that very environ, with all that has been put there."""

    __slots__ = ("environ",)

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = environ
        path, query = environ.get("PATH_INFO", "/"), environ.get("QUERY_STRING", "")
        super().__init__(
            environ["REQUEST_METHOD"],
            f"{path}?{query}" if query else path,
            path,
            query,
            "1.0" if environ.get("SERVER_PROTOCOL") == "HTTP/1.0" else "1.1",
            [(_name(key), str(value)) for key, value in environ.items() if key in _NAMES or key[:5] == "HTTP_"],
            (environ.get("REMOTE_ADDR", ""), environ.get("REMOTE_PORT", 0)),
            (environ["SERVER_NAME"], environ["SERVER_PORT"]),
            environ["wsgi.url_scheme"],
        )


def _name(key: str) -> str:
    return _NAMES.get(key) or key[5:].lower().replace("_", "-")
