"""A certificate authority of the test's own, by the openssl command."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


class Authority:
    """Issues certificates into *folder*; each is a pair of paths."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("openssl") is None:
            assert not os.environ.get("CI"), "the openssl command is missing"
            pytest.skip("the openssl command is missing")
        self._folder = folder
        self.cert = str(folder / "ca.pem")
        self._key = str(folder / "ca.key")
        _openssl("req", "-x509", *_CURVE, "-nodes", "-keyout", self._key, "-out", self.cert, "-subj", "/CN=Test CA")

    def issue(self, file: str, *names: str, subject: str = "", days: int = 2) -> tuple[str, str]:
        """A certificate for the DNS *names*."""
        cert, key, request, extensions = (str(self._folder / f"{file}.{end}") for end in ("pem", "key", "csr", "ext"))
        subject = subject or f"/CN={names[0]}"
        _openssl("req", "-new", *_CURVE, "-nodes", "-keyout", key, "-out", request, "-subj", subject)
        alternatives = ",".join(f"DNS:{name}" for name in names)
        Path(extensions).write_text(f"subjectAltName={alternatives}\n" if names else "basicConstraints=CA:FALSE\n")
        signed_by = ("-CA", self.cert, "-CAkey", self._key, "-CAcreateserial", "-days", str(days))
        _openssl("x509", "-req", "-in", request, *signed_by, "-extfile", extensions, "-out", cert)
        return cert, key


_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)
