"""Waiting for something to become true. No test sleeps for a fixed time and hopes: it polls against a deadline,
and a failure shows the last value seen, which is nearly always the diagnosis."""
from __future__ import annotations

import time
from typing import Callable, TypeVar

T = TypeVar("T")


class NotReached(AssertionError):
    """The deadline passed; the message carries the last value."""


def until(probe: Callable[[], T], accept: Callable[[T], object] = bool, *, timeout: float = 40.0,
          what: str = "condition", interval: float = 0.05) -> T:
    """Calls |probe| until |accept| likes its value, and returns that value. A probe that cannot connect yet counts as
    a value that isn't there yet."""
    deadline = time.monotonic() + timeout
    last: object = None
    while True:
        try:
            value = probe()
            if accept(value):
                return value
            last = value
        except (OSError, LookupError) as error:
            last = error
        if time.monotonic() >= deadline:
            raise NotReached(f"{what}: not reached within {timeout:g} s; last seen: {shorten(last)}")
        time.sleep(interval)


def holds(probe: Callable[[], T], accept: Callable[[T], object] = bool, *, seconds: float,
          what: str = "condition", interval: float = 0.1) -> T:
    """Watches that |accept| stays true for |seconds|; for what must *not* happen."""
    deadline = time.monotonic() + seconds
    while True:
        value = probe()
        if not accept(value):
            raise AssertionError(f"{what}: no longer true; seen: {shorten(value)}")
        if time.monotonic() >= deadline:
            return value
        time.sleep(interval)


def shorten(value: object, limit: int = 2000) -> str:
    """Keeps a failure readable when the value is a table of thousands of entries."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"
