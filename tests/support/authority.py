"""A certificate authority of the test's own, by the openssl command."""

from pathlib import Path

from .certificate import NEW_KEY, openssl


class Authority:
    """Issues certificates into *folder*; each is a pair of paths."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.cert = str(folder / "ca.pem")
        self._key = str(folder / "ca.key")
        openssl("req", "-x509", *NEW_KEY, "-keyout", self._key, "-out", self.cert, "-subj", "/CN=Test CA")

    def issue(self, file: str, *names: str, subject: str = "", days: int = 2) -> tuple[str, str]:
        """A certificate for the DNS *names*."""
        cert, key, request, extensions = (str(self._folder / f"{file}.{end}") for end in ("pem", "key", "csr", "ext"))
        subject = subject or f"/CN={names[0]}"
        openssl("req", "-new", *NEW_KEY, "-keyout", key, "-out", request, "-subj", subject)
        alternatives = ",".join(f"DNS:{name}" for name in names)
        Path(extensions).write_text(f"subjectAltName={alternatives}\n" if names else "basicConstraints=CA:FALSE\n")
        signed_by = ("-CA", self.cert, "-CAkey", self._key, "-CAcreateserial", "-days", str(days))
        openssl("x509", "-req", "-in", request, *signed_by, "-extfile", extensions, "-out", cert)
        return cert, key
