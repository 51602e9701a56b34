"""Photos: judged by their content, kept under names of our own, served as exactly what they are.

A file's name and the type a browser claims for it are only words of the sender; the first bytes decide.
"""

import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from flask import Blueprint, Response, abort, current_app, send_from_directory

pages = Blueprint("photos", __name__)

MAX_SIDE = 12_000
MAX_PIXELS = 50_000_000
"""A phone's camera stays below; a picture that is small as a file and huge on the screen does not."""

_YEAR_SECONDS = 365 * 24 * 3600
_TYPES = {"png": "image/png", "jpg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"}

_Size = tuple[int, int]


class PhotoRefused(ValueError):
    """The upload is not a photo that the house shows; the message is for the person who sent it."""


@dataclass(frozen=True, slots=True)
class Photo:
    """What the bytes say they are."""

    extension: str
    width: int
    height: int


def inspect(data: bytes, max_bytes: int) -> Photo:
    """Find type and size in the bytes. Raises `PhotoRefused`."""
    if not data:
        raise PhotoRefused("Choose a photo.")
    if len(data) > max_bytes:
        raise PhotoRefused(f"The photo is larger than {max_bytes / 1_000_000:g} MB.")
    for extension, size_of in _READERS.items():
        size = size_of(data)
        if size is not None:
            return _bounded(Photo(extension, *size))
    raise PhotoRefused("This file is not a PNG, JPEG, GIF or WebP image.")


def _bounded(photo: Photo) -> Photo:
    if not (0 < photo.width <= MAX_SIDE and 0 < photo.height <= MAX_SIDE):
        raise PhotoRefused(f"Each side of a photo has 1 to {MAX_SIDE} pixels.")
    if photo.width * photo.height > MAX_PIXELS:
        raise PhotoRefused(f"The photo has more than {MAX_PIXELS // 1_000_000} million pixels.")
    return photo


def _png(data: bytes) -> _Size | None:
    # Signature, then the header chunk, always 13 bytes long (PNG specification, 5.2 and 11.2.2).
    if data[:16] != b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" or len(data) < 33:
        return None
    return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])


def _gif(data: bytes) -> _Size | None:
    # Signature, version, logical screen descriptor (GIF89a, 17 and 18).
    if data[:6] not in (b"GIF87a", b"GIF89a") or len(data) < 13:
        return None
    return int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")


def _jpeg(data: bytes) -> _Size | None:
    if data[:3] != b"\xff\xd8\xff":
        return None
    for marker, at in _jpeg_segments(data):
        # A frame header is any SOFn: C0 to CF but for DHT, JPG and DAC (ITU T.81, table B.1).
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and at + 9 <= len(data):
            return int.from_bytes(data[at + 7 : at + 9]), int.from_bytes(data[at + 5 : at + 7])
    return None


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Each marker before the first scan, with the place of its FF byte's successor."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte (B.1.1.2)
            at += 1
            continue
        if marker == 0xDA:
            return
        yield marker, at
        at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4]))


def _webp(data: bytes) -> _Size | None:
    # RIFF container, then one of three kinds of first chunk (RFC 9649, 2.4 to 2.7).
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return None
    match data[12:16]:
        case b"VP8 " if data[23:26] == b"\x9d\x01\x2a":
            width, height = int.from_bytes(data[26:28], "little"), int.from_bytes(data[28:30], "little")
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L" if data[20] == 0x2F:
            bits = int.from_bytes(data[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    return None


_READERS: dict[str, Callable[[bytes], _Size | None]] = {"png": _png, "jpg": _jpeg, "gif": _gif, "webp": _webp}


def store(data: bytes, photo: Photo, folder: str | Path) -> str:
    """Write the photo and return its new name. The file appears whole or not at all."""
    name = f"{secrets.token_hex(16)}.{photo.extension}"
    draft = Path(folder, f".{name}")
    draft.write_bytes(data)
    os.replace(draft, Path(folder, name))
    return name


@pages.get("/photos/<name>")
def show(name: str) -> Response:
    """One photo. Names are never used twice, so browsers may keep it."""
    stem, _, extension = name.partition(".")
    if extension not in _TYPES or not stem.isalnum():
        abort(404)
    folder = current_app.config["PHOTOS"]
    answer = send_from_directory(folder, name, mimetype=_TYPES[extension], max_age=_YEAR_SECONDS)
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer
