"""Who is in which room, in one namespace. Pure.

Two indexes that only this file changes, and both in one method: room → members, and in each member the rooms
that it is in. So leaving costs what that member's rooms cost, and an empty room is gone. Every member is in the
room named by its sid; that room is not stored but looked up, which saves a set for each client.
"""

from collections.abc import Collection, Hashable, Iterable
from typing import Generic, Protocol, TypeVar

Room = Hashable


class Tenant(Protocol):
    """What can be in a room."""

    sid: str
    rooms: set[Room] | None  # made at the first join: most clients of most applications are in none


M = TypeVar("M", bound=Tenant)


class Rooms(Generic[M]):
    """The members and rooms of one namespace."""

    def __init__(self) -> None:
        self.members: dict[str, M] = {}
        self._rooms: dict[Room, dict[M, None]] = {}  # a dict, for an order that tests can rely on

    def add(self, member: M) -> None:
        """A client has come into the namespace."""
        self.members[member.sid] = member

    def remove(self, member: M) -> None:
        """A client has left the namespace, and so all its rooms."""
        if self.members.pop(member.sid, None) is None:
            return
        for room in tuple(member.rooms or ()):
            self.leave(member, room)

    def join(self, member: M, room: Room) -> None:
        """Put *member* into *room*. Doing it twice changes nothing, nor does it for one who is not here."""
        if room == member.sid or member.sid not in self.members:
            return
        self._rooms.setdefault(room, {})[member] = None
        if member.rooms is None:
            member.rooms = set()
        member.rooms.add(room)

    def leave(self, member: M, room: Room) -> None:
        """Take *member* out of *room*, if it is there."""
        tenants = self._rooms.get(room)
        if tenants is None or member not in tenants:
            return
        del tenants[member]
        if not tenants:
            del self._rooms[room]
        if member.rooms is not None:
            member.rooms.discard(room)

    def close(self, room: Room) -> None:
        """Take everybody out of *room*."""
        for member in tuple(self._rooms.get(room, ())):
            self.leave(member, room)

    def of(self, member: M) -> list[Room]:
        """The rooms of *member*, its own first."""
        return [member.sid, *(member.rooms or ())]

    def names(self) -> list[Room]:
        """Every room that somebody joined."""
        return list(self._rooms)

    def tenants(self, room: Room) -> Collection[M]:
        """Who is in *room*. Not a copy."""
        found = self._rooms.get(room, ())
        owner = self.members.get(room) if isinstance(room, str) else None
        return found if owner is None else (owner, *found)

    def select(self, rooms: Iterable[Room] | None, skip: Collection[str] = ()) -> list[M]:
        """Everybody in any of *rooms*, or in the namespace for ``None``, each once, but not the sids in *skip*.

        A copy: whoever uses it may change membership meanwhile.
        """
        if rooms is None:
            chosen = list(self.members.values())
        else:
            names = tuple(rooms)
            if len(names) == 1:
                chosen = list(self.tenants(names[0]))
            else:
                chosen = list(dict.fromkeys(member for room in names for member in self.tenants(room)))
        return [member for member in chosen if member.sid not in skip] if skip else chosen
