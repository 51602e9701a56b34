"""A visitor of the auction house who only reads pages and sends forms."""

import re
from io import BytesIO

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

PASSWORD = "correct horse"


class Visitor:
    """A browser without a script: keeps cookies, and sends the token that the last form carried."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def get(self, path: str) -> TestResponse:
        return self.client.get(path, buffered=True)  # closes what it sends

    def token(self) -> str:
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.get("/login").text)
        assert found is not None
        return found[1]

    def post(self, path: str, **fields: object) -> TestResponse:
        return self.client.post(path, data={"csrf_token": self.token()} | fields)

    def sign_up(self, name: str) -> "Visitor":
        assert self.post("/signup", name=name, password=PASSWORD).status_code == 302
        return self

    def sell(self, photo: bytes, filename: str = "photo.png", **fields: object) -> TestResponse:
        form = {"title": "A thing", "description": "", "category": "Other", "kind": "auction"}
        form |= {"price": "10.00", "length": "1", "unit": "hours"}
        return self.post("/sell", **form | fields, photo=(BytesIO(photo), filename))
