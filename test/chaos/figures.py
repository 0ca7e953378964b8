"""Figures that need a course of their own: make chaos TEST=flood. Each prints what it has measured and gives sentences of what does
not hold."""

import json
import subprocess
import time

from lib import sentinel
from lib.caller import body

from row import Row, Setting
from stage import Stage

MIB = 1024 * 1024
LOOKUPS = "kube_introspect_cache_lookups_total"


class Figure:
    def __init__(self, name, words, measure, setting=lambda run: Setting(), most_seconds=3600):
        """measure  with the Stage; prints, and yields sentences"""
        self.name, self.words, self.measure, self.setting = name, words, measure, setting
        self.least_seconds, self.most_seconds, self.ci = 0, most_seconds, True

    def play(self, run, folder, seconds):
        print(f"{self.name}: {self.words}", flush=True)
        stage = Stage(run, folder, seconds, self.setting(run))
        try:
            return list(self.measure(stage))
        finally:
            stage.close()


def tell(name, value):
    print(f"    {name:<70} {value}", flush=True)


# ---- whether those who judge would see it

LIES = (("yes", "garbage", "allowed"), ("other", "new", "allowed"), ("no", "new", "denied"))


def judge(stage):
    """A provider that lies leads to wrong answers, whatever the webhook does: all of them have to be found."""
    for mode, _, _ in LIES:
        stage.provider.tell("mode", mode)
        stage.load.tell(f"phase {mode}")
        stage.load.catch_up()
        stage.pass_time(1)
    report = stage.load.report()
    for mode, stream, outcome in LIES:
        told, n = report[mode], report[mode]["streams"][stream][outcome]
        tell(f"the provider lies ({mode}): {stream} tokens {outcome}; wrong answers found", f"{n}; {told['wrong']}, as {told['example']}")
        if not 0 < n <= told["wrong"]:
            yield f"the provider lies ({mode}): {n} {stream} tokens were {outcome}, and {told['wrong']} answers found wrong"


# ---- ten minutes without a provider

def in_all(result):
    """No more than one call a second over the whole of the outage, but for what it took to see that the provider is gone."""
    seconds = result.times.ended - result.times.begun
    most = seconds + 64 + 20 + 10  # those under way, minimumCalls, and retries
    tell("tokens in use, answered", f"{result.n('allowed', 'degraded', streams=('cached',)):,} of "
                                    f"{result.n('allowed', 'degraded', 'denied', 'unavailable', 'lost', streams=('cached',)):,}")
    tell("tokens that were in use and then expired, answered before and after exp",
         f"{result.n('allowed', 'degraded', streams=('expiring',)):,} let in, then {result.n('denied', streams=('expiring',)):,} refused")
    tell("tokens that had been revoked, let in", result.n("allowed", "degraded", streams=("revoked",)))
    tell("calls to the provider meanwhile", f"{result.calls:,} in {seconds:.0f} s")
    if result.calls > most:
        yield f"the provider got {result.calls} calls in {seconds:.0f} s"
    if result.n("allowed", "degraded", streams=("revoked",)):
        yield "a token that had been revoked was let in"


DEAD = Row("dead", "connections are refused for long, `ttl: 30s`, `maxStale: 1h`", lambda stage: stage.provider.kill(),
           lambda stage: stage.provider.start(), setting=lambda run: Setting(ttl=30, refresh_ahead_ms=5000, n_cached=2000), least_seconds=45,
           shows=("breaker_open",), may=("provider_unreachable", "provider_tls"), calls_a_second=1.1, ci=False, check=in_all)


# ---- garbage

GARBAGE = 10_000_000
# With its defaults, as an admin has them.
BUDGET = {"perSecond": 500, "burst": 1000}


def flood(stage):
    """Closed loop, as fast as it goes. How many: 100,000 for each second asked for, ten million at most."""
    n_tokens = min(GARBAGE, int(stage.seconds * 100_000))
    before, counts = stage.watch.look(), stage.provider.count()
    begun = time.monotonic()
    stage.load.tell("phase flood")
    while True:
        stage.pass_time(1)
        now = stage.watch.look()
        n_garbage = sum(now.metrics.value("kube_introspect_reviews_total", reason=reason) or 0 for reason in ("inactive", "over_budget"))
        if n_garbage >= n_tokens:
            break
    seconds = time.monotonic() - begun
    all_calls = stage.provider.count()["calls"]
    phase = stage.load.report()["flood"]
    good, garbage = phase["streams"]["cached"], phase["streams"]["garbage"]
    n_good = sum(good[outcome] for outcome in ("allowed", "degraded", "denied", "unavailable", "lost"))
    hits = now.metrics.value(LOOKUPS, outcome="hit") - before.metrics.value(LOOKUPS, outcome="hit")
    calls = all_calls - counts["calls"]
    samples = stage.watch.between(begun, begun + seconds)
    most = max(sample.memory for sample in samples)
    tell("distinct garbage tokens", f"{garbage['denied'] + garbage['unavailable']:,} in {seconds:.0f} s, "
                                    f"{(garbage['denied'] + garbage['unavailable']) / seconds:,.0f} a second")
    tell("of them refused (the provider was asked), over budget", f"{garbage['denied']:,}, {garbage['unavailable']:,}")
    tell("resident memory before, most, in the end, MiB",
         f"{before.memory / MIB:.1f}, {most / MIB:.1f}, {samples[-1].memory / MIB:.1f}")
    tell("the same after a tenth of them and after half, MiB",
         f"{samples[len(samples) // 10].memory / MIB:.1f}, {samples[len(samples) // 2].memory / MIB:.1f}")
    tell("logins with good tokens; let in", f"{n_good:,}; {good['allowed']:,} ({100 * good['allowed'] / n_good:.3f} %)")
    tell("the same answered from the cache", f"{100 * hits / n_good:.3f} %")
    tell("p99 of theirs, ms (64 callers without a pause)", f"{good['p99_ms']:.1f}")
    tell("calls to the provider", f"{calls:,}, {calls / seconds:.0f} a second")
    if phase["wrong"]:
        yield f"{phase['wrong']} wrong answers: {phase['example']}"
    if good["allowed"] < 0.999 * n_good or hits < 0.999 * n_good:
        yield f"good tokens: {good['allowed']} of {n_good} were let in, {hits:.0f} from the cache"
    if calls > BUDGET["burst"] + BUDGET["perSecond"] * seconds:
        yield f"{calls} calls in {seconds:.0f} s are more than the budget"
    if samples[-1].memory > samples[len(samples) // 2].memory + 8 * MIB:
        yield "memory still grows in the second half"


# ---- one token, many callers

CALLERS = 500


def at_once(stage, word, expect):
    """500 callers with a token that nobody knows; gives how many calls that made."""
    token = f"{sentinel.TOKEN}-g{word:016x}-{int(time.time()) - 60:010d}-{int(time.time()) + 3600:010d}"
    request = stage.folder / "secrets" / f"review-{word}.json"
    request.parent.mkdir(exist_ok=True)
    request.write_bytes(body(token))
    certificates, before = stage.certificates, stage.provider.count()["calls"]
    done = subprocess.run([stage.run.programs / "load", "--port", str(stage.webhook.port), "--ca", certificates.server_ca.cert, "--cert",
                           certificates.client.cert, "--key", certificates.client.key, "--connections", str(CALLERS), "--requests",
                           str(CALLERS), "--body", request, "--expect", expect], capture_output=True, text=True)
    assert done.returncode == 0, f"load: {done.stdout} {done.stderr}"
    return stage.provider.count()["calls"] - before, json.loads(done.stdout)


def one_token(stage):
    stage.load.report()  # nobody else
    stage.provider.tell("delay", 300)
    for word, mode, expect in ((1, "ok", '"authenticated":true'), (2, "500", '"error":"')):
        stage.provider.tell("mode", mode)
        n_calls, told = at_once(stage, word, expect)
        tell(f"{CALLERS} callers, one new token, the provider answers after 300 ms ({mode})",
             f"{n_calls} call{'s' * (n_calls != 1)}; answered {told['requests']}, the last after {told['max_ms']:.0f} ms")
        if told["requests"] != CALLERS:
            yield f"only {told['requests']} of {CALLERS} callers were answered"
        if n_calls != 1:
            yield f"{n_calls} calls for {CALLERS} callers with one new token ({mode})"


# ---- a thousand tokens in one second

THOUSAND = 1000
TTL, AHEAD_MS = 30, 5000


def spread(stage):
    """The load began with each of them once, at 1,000 a second, and goes on with them."""
    begun, seen = time.monotonic(), []
    stage.load.tell("phase spread")
    first = stage.provider.count()["calls"]
    while time.monotonic() - begun < TTL + 2:
        stage.pass_time(0.1)
        seen.append((time.monotonic() - begun, stage.provider.count()["calls"] - first))
    phase = stage.load.report()["spread"]
    again = [(at, n) for at, n in seen if 0 < n < THOUSAND]
    most = max(later - n for at, n in seen for then, later in seen if at <= then <= at + 1)
    tell("1,000 tokens that were asked about within a second were asked about again", f"{seen[-1][1]:,} times")
    tell("spread over, s; the first after, s", f"{again[-1][0] - again[0][0]:.1f}; {again[0][0]:.1f}")
    tell("most in one second", most)
    tell("logins meanwhile; that were not let in; p99 ms",
         f"{phase['streams']['cached']['allowed']:,}; {phase['streams']['cached']['unavailable']}; {phase['streams']['cached']['p99_ms']:.1f}")
    if seen[-1][1] < THOUSAND:
        yield f"only {seen[-1][1]} were asked about again within {TTL + 2} s"
    if most > THOUSAND / 2:
        yield f"{most} of them were asked about in one second"


JUDGE = Figure("judge", "the provider lies: is it found?", judge, most_seconds=1,
               setting=lambda run: Setting(ttl=30, refresh_ahead_ms=1000, n_cached=20, mix=(500, 0, 0, 300, 200, 0)))
FIGURES = [
    DEAD,
    Figure("flood", "ten million distinct garbage tokens beside good ones, as fast as it goes; SECONDS=100", flood,
           setting=lambda run: Setting(ttl=30, refresh_ahead_ms=5000, n_cached=50, mix=(10, 0, 0, 0, 990, 0), rate=-1,
                                       issuer={"introspection": {"budget": BUDGET}}, load={"connections": 64})),
    Figure("one-token", "500 callers with one new token", one_token, setting=lambda run: Setting(mix=(1000, 0, 0, 0, 0, 0), n_cached=10)),
    Figure("spread", "1,000 tokens cached within one second, all of them in use", spread,
           setting=lambda run: Setting(ttl=TTL, refresh_ahead_ms=AHEAD_MS, n_cached=THOUSAND, mix=(1000, 0, 0, 0, 0, 0), rate=1000)),
]
