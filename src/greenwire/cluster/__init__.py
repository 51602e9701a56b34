"""Several processes are one server: the workers of one machine (local.py), and those that a message queue joins."""

from .managers import KombuQueue, MessageQueue, RedisQueue

__all__ = ["KombuQueue", "MessageQueue", "RedisQueue"]
