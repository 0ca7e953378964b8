"""Waiting for a condition, never for a time."""

import os
import time

# Under a sanitizer everything takes longer: deadlines of waiting grow by this factor, times that are asserted do not.
SLOWNESS = float(os.environ.get("KUBE_INTROSPECT_SLOWNESS", "1"))

# For so long a busy machine may keep any process from running: no bound that is only there to tell "soon" from "never" is less.
STALL = 3 * SLOWNESS


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


def undisturbed(attempt, times=3):
    """For a promise about moments, which a stall of the test's own can break: attempt() makes one try, all anew, and fails
    by an exception; one of so many tries must hold."""
    for _ in range(times - 1):
        try:
            return attempt()
        except Exception as error:  # whoever comes late may meet a closed connection, too
            print(f"once more, as this machine may have been busy for a moment: {error!r}")
    return attempt()


def past(begun, seconds, expected):
    """Until so much time is over since begun, which time.monotonic() gave."""
    until(lambda: time.monotonic() > begun + seconds, expected)


def next_millisecond():
    """Until the program's clock, which counts milliseconds, is past what has happened up to now: an answer of this very
    millisecond serves whoever asks within it."""
    past(time.monotonic(), 0.002, "two milliseconds are over")
