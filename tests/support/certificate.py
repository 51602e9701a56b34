"""Keys and certificates, made by the openssl command."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def self_signed(folder: Path) -> tuple[str, str]:
    """The files of a certificate for localhost and of its key."""
    certificate, key = str(folder / "cert.pem"), str(folder / "key.pem")
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "2")
    openssl("req", "-x509", *NEW_KEY, "-keyout", key, "-out", certificate, *names)
    return certificate, key


def openssl(*arguments: str) -> None:
    """Run it. Skips the test where there is no such command, but not in CI."""
    if shutil.which("openssl") is None:
        assert not os.environ.get("CI"), "the openssl command is missing"
        pytest.skip("the openssl command is missing")
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)
