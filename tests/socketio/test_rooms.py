"""Rooms against a model that is too simple to be wrong."""

import random

import pytest

from greenwire.socketio.rooms import Rooms


class Guest:
    def __init__(self, sid):
        self.sid = sid
        self.rooms = None

    def __repr__(self):
        return self.sid


@pytest.fixture
def house():
    rooms = Rooms()
    guests = [Guest(f"s{n}") for n in range(4)]
    for guest in guests:
        rooms.add(guest)
    return rooms, guests


def test_everybody_is_in_the_room_of_its_sid(house):
    rooms, (a, b, *_) = house
    assert list(rooms.tenants("s0")) == [a]
    assert rooms.select(["s0", "s1"]) == [a, b]
    assert rooms.of(a) == ["s0"]
    assert rooms.names() == []


def test_the_own_room_is_not_stored_and_not_left(house):
    rooms, (a, *_) = house
    rooms.join(a, "s0")
    rooms.leave(a, "s0")
    assert rooms.select(["s0"]) == [a]
    assert rooms.of(a) == ["s0"]
    assert a.rooms is None


def test_others_may_join_the_room_of_a_sid(house):
    rooms, (a, b, *_) = house
    rooms.join(b, "s0")
    assert rooms.select(["s0"]) == [a, b]
    rooms.remove(a)
    assert rooms.select(["s0"]) == [b]


def test_everybody_once_and_in_the_order_of_coming(house):
    rooms, (a, b, c, d) = house
    for guest in (c, a):
        rooms.join(guest, "x")
    rooms.join(a, "y")
    rooms.join(d, "y")
    assert rooms.select(None) == [a, b, c, d]
    assert rooms.select(["x"]) == [c, a]
    assert rooms.select(["x", "y", "s0", "none"]) == [c, a, d]
    assert rooms.select([]) == []
    assert rooms.select(["none"]) == []
    assert rooms.select(None, {"s1", "s2"}) == [a, d]
    assert rooms.select(["x"], {"s0"}) == [c]


def test_a_selection_is_a_copy(house):
    rooms, (a, *_) = house
    rooms.join(a, "x")
    for chosen in (rooms.select(None), rooms.select(["x"]), rooms.select(["s0"])):
        before = list(chosen)
        chosen.clear()
        assert before
    assert rooms.select(["x"]) == [a]


def test_who_is_gone_cannot_join(house):
    rooms, (a, *_) = house
    rooms.remove(a)
    rooms.join(a, "x")
    assert rooms.names() == []
    assert rooms.select(["x"]) == []


def test_any_hashable_is_a_room(house):
    rooms, (a, *_) = house
    for room in (1, (1, 2), None, b"x", frozenset()):
        rooms.join(a, room)
        assert rooms.select([room]) == [a]


def agree(rooms, guests, model):
    """Both indexes, and what can be asked, say what *model* says: present guests to the rooms they joined."""
    assert rooms.members == {guest.sid: guest for guest in model}
    by_room = {}
    for guest, joined in model.items():
        for room in joined:
            by_room.setdefault(room, set()).add(guest)
    assert {room: set(tenants) for room, tenants in rooms._rooms.items()} == by_room  # so empty rooms are gone
    for guest in guests:
        assert (guest.rooms or set()) == model.get(guest, set())
        if guest in model:
            own, *others = rooms.of(guest)
            assert own == guest.sid
            assert sorted(others) == sorted(model[guest])
    for room in ("s0", "a", "b"):
        wanted = by_room.get(room, set()) | {guest for guest in model if guest.sid == room}
        assert set(rooms.tenants(room)) == set(rooms.select([room])) == wanted


@pytest.mark.parametrize("seed", range(15))
def test_a_random_walk(seed):
    rng = random.Random(seed)
    rooms, guests = Rooms(), [Guest(f"s{n}") for n in range(5)]
    model = {}
    names = ["a", "b", "c", "s0", "s1"]
    for _ in range(400):
        guest, room = rng.choice(guests), rng.choice(names)
        action = rng.choices(["add", "remove", "join", "leave", "close", "skip"], [4, 1, 6, 3, 1, 2])[0]
        if action == "add":
            rooms.add(guest)
            model.setdefault(guest, set())
        elif action == "remove":
            rooms.remove(guest)
            model.pop(guest, None)
        elif action == "join":
            rooms.join(guest, room)
            if guest in model and room != guest.sid:
                model[guest].add(room)
        elif action == "leave":
            rooms.leave(guest, room)
            model.get(guest, set()).discard(room)
        elif action == "close":
            rooms.close(room)
            for joined in model.values():
                joined.discard(room)
        else:
            chosen = rooms.select(names, {guest.sid})
            assert len(chosen) == len(set(chosen))
            wanted = {g for g, joined in model.items() if joined or g.sid in names} - {guest}
            assert set(chosen) == wanted
        agree(rooms, guests, model)
    for guest in guests:
        rooms.remove(guest)
    agree(rooms, guests, {})
    assert rooms.names() == []
