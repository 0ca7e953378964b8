"""The clock of the program under test, moved by hand: clock.c reads what is written here."""

import mmap
import threading
import time

from model import Span

SECOND = 1_000_000_000


class Clock:
    def __init__(self, path):
        self.path = path
        path.write_bytes(bytes(16))
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

    def set_wall(self, seconds):
        """Somebody sets the wall clock: forward, or back."""
        self._move(0, seconds)

    def _move(self, mono, wall):
        with self.lock:
            self.mono_offset += mono
            self.wall_offset += wall
            self.shared[0], self.shared[1] = int(self.mono_offset * SECOND), int(self.wall_offset * SECOND)


class Stopwatch:
    """Between which two moments something happened, on both clocks."""

    def __init__(self, clock):
        self.clock = clock
        self.mono, self.wall = clock.mono(), clock.wall()

    def spans(self):
        wall = self.clock.wall()
        return Span(self.mono, self.clock.mono()), Span(min(self.wall, wall), max(self.wall, wall))
