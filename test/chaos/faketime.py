"""A clock that can be set: libfaketime, loaded into a program. The monotonic clock stays real."""

import os
from contextlib import contextmanager
from pathlib import Path

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)


def variables(file):
    """For a program whose wall clock is as far from the real one as the file says: "+3600". It looks there once a second."""
    return {"LD_PRELOAD": str(LIBRARY), "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_CACHE_DURATION": "1", "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


@contextmanager
def in_the_past(days):
    """Programs that are started in the block live then, where that is possible."""
    kept = dict(os.environ)
    if LIBRARY:
        os.environ.update({"LD_PRELOAD": str(LIBRARY), "FAKETIME": f"-{days}d"})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)
