"""A certificate, made by the openssl command."""

import os
import shutil
import subprocess
from types import SimpleNamespace

import pytest


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    if shutil.which("openssl") is None:
        assert not os.environ.get("CI"), "the openssl command is missing"
        pytest.skip("the openssl command is missing")
    folder = tmp_path_factory.mktemp("tls")
    made = SimpleNamespace(
        cert=str(folder / "cert.pem"),
        key=str(folder / "key.pem"),
        encrypted_key=str(folder / "encrypted.pem"),
        other_key=str(folder / "other.pem"),
    )

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "2")
    openssl("req", "-x509", *curve, "-nodes", "-keyout", made.key, "-out", made.cert, *names)
    openssl("ec", "-in", made.key, "-out", made.encrypted_key, "-aes128", "-passout", "pass:secret")
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", made.other_key)
    return made
