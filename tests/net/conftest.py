"""A certificate, and keys beside it."""

from types import SimpleNamespace

import pytest

from support.certificate import openssl, self_signed


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    cert, key = self_signed(folder)
    made = SimpleNamespace(
        cert=cert,
        key=key,
        encrypted_key=str(folder / "encrypted.pem"),
        other_key=str(folder / "other.pem"),
    )
    openssl("ec", "-in", made.key, "-out", made.encrypted_key, "-aes128", "-passout", "pass:secret")
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", made.other_key)
    return made
