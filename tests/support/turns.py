"""Turns of the event loop, for tests of green threads."""

from greenwire import green


def turns(number: int = 3) -> None:
    """So many turns of the loop, however fast the machine is."""
    for _ in range(number):
        green.sleep(0)
