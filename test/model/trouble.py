"""When the provider may fail, or not be asked: the states that it may be in, the breaker and the budget. Where what the program
knows cannot be seen from outside this says what it may know at worst."""

from model import MILLISECOND

TIMEOUT, DEADLINE, OPEN_FOR = 2.0, 9.9, 1.0  # of a call, of a caller that names none, of the breaker

# What a provider in this state makes of a call.
FAILURES = {
    "up": set(),
    "slow": set(),
    "refused": {"provider_unreachable"},
    "reset": {"provider_unreachable"},
    "half": {"provider_unreachable"},
    "silent": {"provider_timeout"},
    "error": {"provider_error"},
    "throttled": {"provider_throttled"},
    "rejected": {"client_credentials_rejected"},
    "garbage": {"provider_reply_invalid"},
}
PLENTY = (1_000_000, 1_000_000, 1.0)


def n_unknown(is_known, n_calls):
    """How many of them are about a token that nobody knows: the first may end in a no, and what comes after it is."""
    return n_calls - 1 if is_known and n_calls > 0 else n_calls


class Budget:
    """left and unknown: so many calls may be made at least. most: so many at most."""

    def __init__(self, budget, now):
        self.rate, self.burst, self.part = budget or PLENTY
        self.left, self.unknown = self.burst, self.most_unknown()
        self.most = self.burst
        self.filled = self.filled_most = now
        self.is_used = False  # a call has surely been taken out, so it was filled

    def most_unknown(self):
        return max(1.0, self.burst * self.part)

    def configure(self, budget, now):
        """What was left of another budget is taken over, as it was when it was last looked at; how much that is, one knows only of
        a plentiful one that has been used."""
        was_plenty = self.rate == PLENTY[0] and self.is_used
        self.__init__(budget, now)
        if not was_plenty:
            self.left = self.unknown = 0

    def may_refuse(self, is_known, now, n_calls=1):
        self._fill(now)
        n = n_unknown(is_known, n_calls)
        return self.left < n_calls or (n > 0 and self.unknown < n)

    def _fill(self, now):
        passed, self.filled = max(0, now - self.filled - 2 * MILLISECOND), now
        self.left = min(self.burst, self.left + passed * self.rate)
        self.unknown = min(self.most_unknown(), self.unknown + passed * self.rate * self.part)

    def spend(self, is_known, now, n_calls=1):
        """So many calls at most have been taken out, by now: as late as that at worst, for what came before did not fit in."""
        self._fill(now)
        self.left -= n_calls  # below 0 where it was filled while the question went on
        self.unknown -= n_unknown(is_known, n_calls)

    def call(self, now):
        """The provider has been called. Returns whether it may have been; two may be under way while the clock is moved."""
        self.most = min(self.burst, self.most + (now - self.filled_most) * self.rate + MILLISECOND) - 1
        self.filled_most = now
        return self.most > -3


class Breaker:
    def __init__(self):
        self.failed = float("-inf")  # a call may have failed then, not later

    def fail(self, now):
        self.failed = now

    def may_be_open(self, begin):
        return begin < self.failed + OPEN_FOR + 2 * MILLISECOND
