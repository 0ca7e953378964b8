"""Waiting for a condition, never for a time."""

import os
import time

# Under a sanitizer everything takes longer: deadlines of waiting grow by this factor, times that are asserted do not.
SLOWNESS = float(os.environ.get("KUBE_INTROSPECT_SLOWNESS", "1"))


def until(condition, expected, seconds=10.0, interval=0.01):
    """Calls condition() until it returns something true, and returns that. expected is a sentence for the failure; it may
    be a function, called when the time is over."""
    deadline = time.monotonic() + seconds * SLOWNESS
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            sentence = expected() if callable(expected) else expected
            raise AssertionError(f"after {seconds * SLOWNESS:g} s still not: {sentence}")
        time.sleep(interval)


def next_millisecond():
    """Until the program's clock, which counts milliseconds, is past what has happened up to now: an answer of this very
    millisecond serves whoever asks within it."""
    begun = time.monotonic()
    until(lambda: time.monotonic() > begun + 0.002, "two milliseconds are over")
