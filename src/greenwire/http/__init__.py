"""HTTP/1.1 on one connection: bytes to requests, answers to bytes, and WSGI on top of it."""
