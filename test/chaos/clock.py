"""A wall clock that can be set (clock.c), loaded into programs. The monotonic clock stays real."""

import os
import struct
from contextlib import contextmanager

HOUR, DAY = 3600, 86400


class Clock:
    def __init__(self, library, file, ahead=0):
        self.library, self.file = library, file
        self.set(ahead)

    def set(self, ahead):
        """Seconds ahead of the real one, for all that look at it from now on. Written in place: the file is mapped."""
        with open(self.file, "r+b" if self.file.exists() else "wb") as file:
            file.write(struct.pack("=q", ahead))

    def variables(self):
        """Of the environment of a program that follows it."""
        return {"LD_PRELOAD": str(self.library), "CHAOS_CLOCK": str(self.file)}

    @contextmanager
    def followed(self):
        """By programs that are started in the block."""
        kept = dict(os.environ)
        os.environ.update(self.variables())
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(kept)
