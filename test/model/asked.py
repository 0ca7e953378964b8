"""What the tests keep of each question to the program, and of each call that the provider had."""

from dataclasses import dataclass, field

from model import Fact, Span
from stopwatch import Stopwatch
from trouble import TIMEOUT


@dataclass
class Call:
    """The provider was asked about a token, and said this, or failed."""
    token: str
    asked: Span
    state: str
    claims: dict  # None: a no
    landed: float = None  # when the answer began to be sent
    failed: bool = True
    abandoned: bool = False  # what was said found nobody who listened any more
    is_settled: bool = False  # whether it was abandoned is known

    def has_said(self):
        return not self.failed and not self.abandoned


@dataclass(eq=False)
class Asked:
    """A question that was put."""
    token: str
    known: Fact
    may_be_served: bool  # from the cache, when it was put
    watch: Stopwatch
    policies: list  # in force since then
    states: set  # of the provider since then
    trouble: set = field(default_factory=set)  # why the program may not ask the provider at all
    answers: list = field(default_factory=list)  # each with the spans of both clocks

    def took(self):
        return max(mono.end for _, mono, _ in self.answers) - self.watch.mono

    def may_have_timed_out(self):
        return self.took() + 0.1 >= TIMEOUT

    def is_known(self):
        return self.known is not None and self.known.claims is not None
