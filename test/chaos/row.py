"""A row of the table: what goes wrong, what must hold all the same, and whether it did."""

import json
from dataclasses import dataclass, field
from typing import Callable, Optional

from lib import reasons, wait

import table
from stage import Stage

WORDS = {sentence: word for word, (_, sentence) in reasons.read().items()}
WRONG, NEGATIVE = "wrong answers", "negative answers"
PHASES = ("before", "onset", "trouble", "after")
# What logins may take at their slowest hundredth. Where other programs have the machine as well, which shows in how late the load
# generator itself is, only what is longer than that can be told: a login that waits for a provider does.
P99_MS, BUSY_P99_MS = 5, 250
QUIET_LATE_MS = 1
RECOVERY_SECONDS = 2


def is_wrong(failure):
    """Whether it was a verdict that did not hold, which no busy machine makes."""
    return WRONG in failure or NEGATIVE in failure


@dataclass(frozen=True)
class Setting:
    """What is different about the stage of a row."""
    issuer: dict = field(default_factory=dict)
    ttl: int = 0  # its cache.ttl, in seconds, in place of the run's
    refresh_ahead_ms: int = 0  # 0: a third of that
    n_cached: int = 500  # tokens in use
    changes: dict = field(default_factory=dict)
    variables: dict = field(default_factory=dict)
    wrapper: tuple = ()
    prepare: Optional[Callable] = None  # with the webhook's folder, before the start; may give what undoes it
    certificate: object = None  # of the provider, in place of the usual
    host: str = "localhost"  # of the provider
    mix: tuple = ()
    rate: int = 0  # of logins a second, in place of the run's; -1: as fast as it goes
    load: dict = field(default_factory=dict)  # options of the load generator


def nothing(stage):
    pass


@dataclass(frozen=True)
class Row:
    name: str
    words: str  # a line of the table
    begin: Callable  # with the stage
    end: Callable = nothing
    during: Optional[Callable] = None  # again and again between the two
    setting: Callable = lambda run: Setting()  # of the Run
    shows: tuple = ()  # reasons that must be seen, or the trouble was none
    may: tuple = ()  # further ones that may
    serves: bool = True  # every login with a token in use succeeds, all the time
    p99_ms: float = P99_MS  # of those
    onset_ms: Optional[float] = None  # what the p99 of those may be in the first seconds; None: as ever
    calls_a_second: Optional[float] = None  # what the provider may get once the breaker has opened
    recovery: float = RECOVERY_SECONDS
    least_seconds: float = 0  # shorter shows nothing
    most_seconds: float = 3600  # longer shows nothing more
    ci: bool = True
    check: Optional[Callable] = None  # with the Result: gives sentences of what does not hold

    def play(self, run, folder, seconds):
        """Prints its line; gives sentences of what does not hold."""
        stage = Stage(run, folder, seconds, self.setting(run))
        try:
            result = Result(self, stage, *stage.play(self))
            (folder / "report.json").write_text(json.dumps(result.report, indent=1))
            print(table.line(table.cells(result)), flush=True)
            return result.failures()
        finally:
            stage.close()


class Result:
    def __init__(self, row, stage, report, times):
        self.row, self.stage, self.report, self.times = row, stage, report, times
        self.before, self.after = stage.before, stage.after
        self.counts = {name: stage.provider.counts()[name] - stage.counts_before[name] for name in stage.counts_before}
        self.samples = stage.watch.between(times.begun, times.ended)

    # ---- figures

    def n(self, *outcomes, streams=("cached", "expiring", "revoked", "new", "garbage", "again"), phases=("onset", "trouble")):
        return sum(self.report[phase]["streams"][stream][outcome] for phase in phases for stream in streams for outcome in outcomes)

    @property
    def asked(self):
        return self.n("allowed", "degraded", "denied", "unavailable", "lost")

    @property
    def wrong(self):
        return sum(self.report[phase]["wrong"] for phase in PHASES)

    @property
    def unserved(self):
        return self.n("denied", "unavailable", "lost", streams=("cached",))

    def errors(self, phases=("onset", "trouble")):
        """How often each reason of UNAVAILABLE, or whatever came in place of a verdict."""
        found = {}
        for phase in phases:
            for sentence, n in self.report[phase]["errors"].items():
                word = WORDS.get(sentence, sentence)
                found[word] = found.get(word, 0) + n
        return dict(sorted(found.items(), key=lambda pair: -pair[1]))

    def p99_ms(self, phase):
        return self.report[phase]["streams"]["cached"]["p99_ms"]

    def late_ms(self, phase):
        """How late the load generator itself was at its slowest hundredth: what the machine does to whoever wants to be on time."""
        return self.report[phase]["late"]["p99_ms"]

    @property
    def recovery(self):
        """From the end of the trouble to the last login that was not answered well: the time when it was due."""
        return self.times.over - self.times.ended + self.report["after"]["well_after_s"]

    @property
    def negatives(self):
        """Negative answers in the cache that no provider gave."""
        return max(0, int(self.after.negative - self.before.negative - self.counts["inactive"]))

    @property
    def calls(self):
        return int(self.samples[-1].calls - self.before.calls) if self.samples else 0

    @property
    def opened(self):
        """What was seen when the breaker was open for the first time, or None."""
        return next((sample for sample in self.samples if not sample.is_closed), None)

    @property
    def calls_left_alone(self):
        """Calls a second from when the breaker was first seen open to the end; None where that was no second ago."""
        opened = self.opened
        last = self.samples[-1] if self.samples else None
        if opened is None or last.at - opened.at < 1:
            return None
        return (last.calls - opened.calls) / (last.at - opened.at)

    # ---- whether it holds

    def failures(self):
        return [sentence for sentence in self._failures() if sentence]

    def _failures(self):
        row = self.row
        for phase in PHASES:
            told = self.report[phase]
            yield told["wrong"] and f"{told['wrong']} {WRONG} in phase {phase}: {told['example']}"
        yield self.negatives and f"{self.negatives} {NEGATIVE} are cached that the provider never gave"
        yield from self._failures_before()
        seen = self.errors()
        for word in row.shows:
            yield word not in seen and f"the trouble was none: no login was answered {word}, but {seen}"
        strange = {word: n for word, n in seen.items() if word not in row.shows + row.may}
        yield strange and f"logins were answered for reasons that this trouble does not give: {strange}"
        if row.serves:
            yield self.unserved and f"{self.unserved} logins with tokens in use did not succeed"
            yield self._slow("onset", row.onset_ms)
            yield self._slow("trouble", None)
        late_s = self.late_ms("after") / 1000
        yield self.recovery >= row.recovery * wait.SLOWNESS + 1.5 * late_s and (
            f"it took {self.recovery:.2f} s until all was well, not {row.recovery:g}: {self.errors(('after',))}")
        yield self._too_many_calls()
        yield from (row.check(self) if row.check else ())

    def _failures_before(self):
        bad = self.errors(("before",))
        yield bad and f"not even before the trouble all was well: {bad}"
        yield not self.n("allowed", phases=("before",)) and "nobody logged in before the trouble"

    def _slow(self, phase, limit_ms):
        late_ms = self.late_ms(phase)
        usual_ms = self.row.p99_ms + (0 if late_ms <= QUIET_LATE_MS else BUSY_P99_MS + 1.5 * late_ms)
        limit_ms, found_ms = max(limit_ms or 0, usual_ms) * wait.SLOWNESS, self.p99_ms(phase)
        return found_ms > limit_ms and (f"p99 of logins with tokens in use was {found_ms:.1f} ms in phase {phase}, not {limit_ms:g} "
                                        f"(load generator: {late_ms:.1f} ms late)")

    def _too_many_calls(self):
        limit, found = self.row.calls_a_second, self.calls_left_alone
        if limit is None:
            return None
        if self.opened is None:
            return "the breaker has not opened"
        return found is not None and found > limit and f"the provider got {found:.2f} calls a second once the breaker had opened, not {limit:g}"
