"""The bounds between processes, at the limit and one past it; and what workers demand of their directory."""

import asyncio
import logging
from dataclasses import replace

import pytest

from greenwire.cluster.broker import Outbox, without_password
from greenwire.cluster.redis import sentinel_url
from greenwire.cluster.workers import Cluster, shared_id
from greenwire.errors import ConfigurationError
from greenwire.ids import set_worker
from greenwire.limits import DEFAULT
from greenwire.quiet import QuietLog


def outbox(limit):
    quiet = QuietLog(logging.getLogger("greenwire"), lambda: 0.0)
    return Outbox(replace(DEFAULT, queue_waiting_bytes=limit), quiet, "the queue")


def test_the_outbox_drops_the_newest_beyond_its_limit(caplog):
    box = outbox(10)
    box.put(b"12345")
    box.put(b"67890")
    assert len(box) == 2
    assert not caplog.records
    box.put(b"x")
    assert len(box) == 2
    assert "is dropped: the queue is slow or away, and 10 bytes wait" in caplog.text
    assert asyncio.run(box.take()) == [b"12345", b"67890"]
    box.sent(1)
    box.put(b"x")
    assert asyncio.run(box.take()) == [b"67890", b"x"]
    assert not box.empty.is_set()
    box.sent(2)
    assert box.empty.is_set()


@pytest.fixture
def restored():
    yield
    set_worker(0)


def test_the_directory_has_to_be_private(tmp_path, restored):
    tmp_path.chmod(0o700)
    assert Cluster(1, 2, str(tmp_path)).number == 1
    for mode in (0o701, 0o750, 0o770):
        tmp_path.chmod(mode)
        with pytest.raises(ConfigurationError, match="has to be ours alone"):
            Cluster(1, 2, str(tmp_path))
    tmp_path.chmod(0o700)


def test_numbers_of_workers(tmp_path, restored):
    tmp_path.chmod(0o700)
    assert Cluster(4095, 2, str(tmp_path)).number == 4095
    for number in (-1, 4096):
        with pytest.raises(ConfigurationError, match="there can be 4096"):
            Cluster(number, 2, str(tmp_path))


def test_workers_share_one_name_in_a_queue(tmp_path):
    first = shared_id(str(tmp_path))
    assert len(first) == 32
    assert shared_id(str(tmp_path)) == first
    assert [path.name for path in tmp_path.iterdir()] == ["host_id"], "nothing else is left there"


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("redis+sentinel://a:1,b/0/shop", ([("a", 1), ("b", 26379)], "shop", {"db": 0})),
        (
            "rediss+sentinel://me:p%40ss@[::1]:7/3/shop",
            ([("::1", 7)], "shop", {"db": 3, "username": "me", "password": "p@ss", "ssl": True}),
        ),
    ],
)
def test_sentinel_urls(url, found):
    assert sentinel_url(url) == found


def test_a_sentinel_url_names_a_service():
    with pytest.raises(ConfigurationError, match="it ends with /db/service"):
        sentinel_url("redis+sentinel://secret:word@host/0")


def test_passwords_are_left_out():
    assert without_password("redis://me:pass@host:1/0?x=y") == "redis://host:1/0"
    assert without_password("redis://host:1/0") == "redis://host:1/0"
