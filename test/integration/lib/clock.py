"""The clocks of the programs under test, moved by hand: clock.c, preloaded into them, reads what is written here."""

import contextlib
import mmap
import os
import threading
import time
from pathlib import Path

SECOND = 1_000_000_000


class Clock:
    """library: clock.c, built. path: a file to be made. Seconds, as all here."""

    def __init__(self, library, path):
        self.library, self.path = Path(library), Path(path)
        self.path.write_bytes(bytes(16))
        with open(path, "r+b") as file:
            self.shared = memoryview(mmap.mmap(file.fileno(), 16)).cast("q")  # written in one store each: nobody reads half of one
        self.lock = threading.Lock()
        self.mono_offset = self.wall_offset = 0

    def mono(self):
        with self.lock:
            return time.monotonic() + self.mono_offset

    def wall(self):
        with self.lock:
            return time.time() + self.wall_offset

    def step(self, seconds):
        """Time passes."""
        self._move(seconds, seconds)

    def step_wall(self, seconds):
        """Somebody sets the wall clock: forward, or back."""
        self._move(0, seconds)

    def set_wall_ahead(self, seconds):
        """Of the real one."""
        self._move(0, seconds - self.wall_offset)

    def _move(self, mono, wall):
        with self.lock:
            self.mono_offset += mono
            self.wall_offset += wall
            self.shared[0], self.shared[1] = int(self.mono_offset * SECOND), int(self.wall_offset * SECOND)

    def variables(self):
        """Of the environment of a program that follows it."""
        return {"LD_PRELOAD": str(self.library), "TEST_CLOCK": str(self.path)}

    @contextlib.contextmanager
    def followed(self):
        """By programs that are started in the block."""
        kept = dict(os.environ)
        os.environ.update(self.variables())
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(kept)
