"""What one load looks like: the numbers that the runner hands to the load generator, as its options."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields

SIZE_BYTES = 32


@dataclass(frozen=True)
class Shape:
    """The numbers of one workload. Each of them is an option of ``load.py``, under its own name."""

    clients: int = 50
    inflight: int = 1  # messages of each client on their way
    size: int = SIZE_BYTES  # of one payload
    rooms: int = 0  # each with ``members``
    members: int = 20
    namespaces: int = 0  # that each client joins
    rate: float = 0  # messages a second, of all clients together
    tls: int = 0
    path: str = "/bare"

    def options(self) -> list[str]:
        """As the command line of ``load.py`` takes them."""
        return [f"--{field.name}={getattr(self, field.name)}" for field in fields(Shape)]


def add_options(parser: argparse.ArgumentParser) -> None:
    """An option for each number."""
    for field in fields(Shape):
        kind = type(field.default)
        parser.add_argument(f"--{field.name}", type=float if field.type == "float" else kind, default=field.default)


def chosen(given: argparse.Namespace) -> Shape:
    """What the options say."""
    return Shape(**{field.name: getattr(given, field.name) for field in fields(Shape)})
