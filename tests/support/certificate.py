"""A certificate for localhost, made by the openssl command."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def self_signed(folder: Path) -> tuple[str, str]:
    """The files of a certificate and of its key. Skips the test where there is no openssl, but not in CI."""
    if shutil.which("openssl") is None:
        assert not os.environ.get("CI"), "the openssl command is missing"
        pytest.skip("the openssl command is missing")
    certificate, key = str(folder / "cert.pem"), str(folder / "key.pem")
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "2")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    command = ["openssl", "req", "-x509", *curve, "-nodes", "-keyout", key, "-out", certificate, *names]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return certificate, key
