"""Lot & Found: a small auction house with live bidding, on Flask and Greenwire."""

from .factory import create_app

__all__ = ["create_app"]
