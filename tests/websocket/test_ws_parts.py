"""In which parts a line gives frames to the transport, and what it counts meanwhile."""

import pytest

from greenwire.unread import Unread
from greenwire.websocket.line import JOINED_BYTES, PART_BYTES, Line


class Transport:
    """Notes what is written; its kernel takes nothing, unless it is *quick*."""

    def __init__(self, *, tls: bool = False, quick: bool = True) -> None:
        self.writes: list[bytes] = []
        self.quick = quick
        self._tls = tls
        self.unread = Unread()
        self.line = Line(self, self.unread, lambda: None)  # type: ignore[arg-type]  # it writes, and asks for TLS

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        self.line.blocked = not self.quick

    def get_extra_info(self, name: str) -> object:
        assert name == "sslcontext"
        return "a context" if self._tls else None


def frames(*sizes: int) -> list[bytes]:
    """Of these sizes, all different."""
    return [bytes([n + 1]) * size for n, size in enumerate(sizes)]


def leave(transport, sizes, written):
    """Frames of *sizes* leave in writes of the sizes *written*."""
    given = frames(*sizes)
    transport.line.extend(given)
    transport.line.advance()
    assert [len(data) for data in transport.writes] == written
    assert b"".join(transport.writes) == b"".join(given)
    assert transport.line.empty
    assert transport.line.waiting == 0


@pytest.mark.parametrize(
    ("sizes", "written"),
    [
        ((10,), [10]),
        ((10, 20, 30), [60]),
        ((JOINED_BYTES - 10, 10), [JOINED_BYTES]),
        ((JOINED_BYTES - 10, 11), [JOINED_BYTES - 10, 11]),
        ((10, JOINED_BYTES - 30, 20, 1), [JOINED_BYTES, 1]),
        ((10, JOINED_BYTES - 30, 21, 1), [JOINED_BYTES - 20, 22]),
        ((JOINED_BYTES + 1, 10), [JOINED_BYTES + 1, 10]),
        ((PART_BYTES * 3, 10), [PART_BYTES * 3, 10]),  # no copy at all
    ],
)
def test_small_frames_are_joined(sizes, written):
    leave(Transport(), sizes, written)


@pytest.mark.parametrize(
    ("sizes", "written"),
    [
        ((PART_BYTES,), [PART_BYTES]),
        ((PART_BYTES + 1,), [PART_BYTES, 1]),
        ((PART_BYTES * 2, 10), [PART_BYTES, PART_BYTES, 10]),
        ((10, PART_BYTES * 2 + 5, 10, 20), [10, PART_BYTES, PART_BYTES, 5, 30]),
    ],
)
def test_what_is_encrypted_is_given_in_parts(sizes, written):
    leave(Transport(tls=True), sizes, written)


@pytest.mark.parametrize("tls", [False, True])
def test_what_waits_is_counted_beside_what_the_transport_holds(tls):
    transport = Transport(tls=tls, quick=False)
    line = transport.line
    sizes = (PART_BYTES + 100, JOINED_BYTES, JOINED_BYTES)
    line.extend(frames(*sizes))
    left = sum(sizes)
    assert line.waiting == left
    while left:
        line.advance()
        assert line.blocked
        line.advance()  # without effect
        left -= len(transport.writes[-1])
        assert line.waiting == left
        assert transport.unread.bytes >= left + len(transport.writes[-1])  # it is in memory all the same
        assert not line.empty
        line.unblock()
        assert line.waiting == left
    assert line.empty
    line.unblock()  # without effect
    assert b"".join(transport.writes) == b"".join(frames(*sizes))


def test_what_the_transport_was_given_before_is_held_too():
    transport = Transport(quick=False)
    line = transport.line
    line.blocked = True
    line.hold(b"x" * 30)
    assert (line.waiting, line.empty) == (0, False)
    line.extend(frames(20))
    assert line.waiting == 20
    line.unblock()
    assert (line.waiting, line.empty) == (20, False)
    transport.quick = True
    line.advance()
    assert transport.writes == frames(20)


def test_nothing_is_left_of_a_line_that_is_cleared():
    transport = Transport(tls=True, quick=False)
    line = transport.line
    line.extend(frames(PART_BYTES + 10))
    line.advance()
    line.unblock()
    line.advance()
    line.clear()
    assert line.waiting == 0
    line.unblock()
    assert line.empty
    transport.quick = True
    line.extend(frames(PART_BYTES + 20))
    line.advance()
    assert [len(data) for data in transport.writes[2:]] == [PART_BYTES, 20]
