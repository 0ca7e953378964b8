"""Times, as the model takes them: from one moment to another."""

from model import Span


class Stopwatch:
    """Between which two moments something happened, on both clocks."""

    def __init__(self, clock):
        self.clock = clock
        self.mono, self.wall = clock.mono(), clock.wall()

    def spans(self):
        wall = self.clock.wall()
        return Span(self.mono, self.clock.mono()), Span(min(self.wall, wall), max(self.wall, wall))
