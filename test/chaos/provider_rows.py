"""What goes wrong with the provider. A row says how it begins and ends, and what must hold."""

import signal
import time

from row import Row, Setting, nothing

# One call in `openFor`, which is a second, and what the first and the last sample cut off.
ONE_A_SECOND = 1.25
# Of a provider that is killed: it may have been in the middle of a handshake.
KILLED = ("provider_unreachable", "provider_tls")


def tell(*words):
    return lambda stage: stage.provider.tell(*words)


def send(number):
    return lambda stage: stage.provider.signal(number)


# Not in step with the breaker, which asks once a second: it would always find the same.
FLAP_SECONDS = 0.7


def flap(stage):
    is_up = stage.provider.process.poll() is None
    should_be_up = int(time.monotonic() / FLAP_SECONDS) % 2 == 1
    if is_up and not should_be_up:
        stage.provider.kill()
    elif should_be_up and not is_up:
        stage.provider.start()


def stop_flapping(stage):
    if stage.provider.process.poll() is not None:
        stage.provider.start()


def show_expired(stage):
    stage.usual = stage.provider.certificate
    stage.provider.present(stage.certificates.provider_expired)
    stage.provider.tell("close")


def show_valid(stage):
    stage.provider.present(stage.usual)


def no_allowed_in_the_end(result):
    """maxStale was over before the last phase: nobody may be let in then."""
    n = result.n("allowed", "degraded", phases=("trouble",), streams=("cached", "expiring"))
    if n:
        yield f"{n} logins succeeded past maxStale"
    if not result.n("degraded", phases=("onset",)):
        yield "no login was degraded before that"


# The first questions that fail are asked once more, after up to 100 ms: that long waits who asked, until the breaker opens.
RETRIED_MS = 150
# Who asked when the first handshakes began waits for 64 of them.
UNTIL_OPEN_MS = 500

ROWS = [
    Row("refused", "connections are refused", lambda stage: stage.provider.kill(), lambda stage: stage.provider.start(),
        shows=("breaker_open",), may=KILLED, onset_ms=RETRIED_MS, calls_a_second=ONE_A_SECOND),
    Row("silent", "it takes connections and says nothing", send(signal.SIGSTOP), send(signal.SIGCONT),
        shows=("breaker_open",), may=("provider_timeout", "deadline_exceeded"), onset_ms=2500, least_seconds=4,
        calls_a_second=ONE_A_SECOND),
    Row("dropped", "packets to it are lost", tell("drop"), tell("pass"),
        shows=("breaker_open",), may=("provider_timeout", "deadline_exceeded", "provider_unreachable"), onset_ms=2500,
        calls_a_second=ONE_A_SECOND, ci=False),
    Row("slow", "it takes 5 s to answer", tell("delay", 5000), tell("delay", 0),
        shows=("breaker_open",), may=("provider_timeout", "deadline_exceeded"), onset_ms=2500, calls_a_second=ONE_A_SECOND, ci=False),
    Row("flapping", f"{FLAP_SECONDS:g} s there, {FLAP_SECONDS:g} s gone", nothing, stop_flapping, during=flap,
        may=(*KILLED, "breaker_open"), ci=False),
    Row("500", "it answers 500", tell("mode", "500"), tell("mode", "ok"),
        shows=("breaker_open",), may=("provider_error",), calls_a_second=ONE_A_SECOND),
    Row("503", "it answers 503, which is tried once more", tell("mode", "503"), tell("mode", "ok"),
        shows=("breaker_open",), may=("provider_error",), onset_ms=RETRIED_MS, calls_a_second=ONE_A_SECOND, ci=False),
    Row("429", "it answers 429", tell("mode", "429"), tell("mode", "ok"),
        shows=("breaker_open",), may=("provider_throttled",), calls_a_second=ONE_A_SECOND, ci=False),
    Row("html", "a page in HTML answers in its place", tell("mode", "html"), tell("mode", "ok"), shows=("provider_reply_invalid",),
        may=("over_budget",)),
    Row("half", "each reply ends in the middle", tell("mode", "half"), tell("mode", "ok"),
        may=("provider_unreachable", "provider_reply_invalid", "breaker_open"), ci=False),
    Row("certificate", "its certificate has expired", show_expired, show_valid,
        shows=("breaker_open",), may=("provider_tls",), onset_ms=UNTIL_OPEN_MS, calls_a_second=ONE_A_SECOND),
    Row("too-long", "it is gone for longer than maxStale", lambda stage: stage.provider.kill(), lambda stage: stage.provider.start(),
        setting=lambda run: Setting(ttl=1, issuer={"outage": {"maxStale": "1s"}}), serves=False, least_seconds=8,
        shows=("breaker_open",), may=KILLED, check=no_allowed_in_the_end, ci=False),
]
