"""The version, for everybody who says it. Leaf."""

__version__ = "0.1.0"
