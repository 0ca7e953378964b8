"""A provider that fails is left alone, and is back within a moment of its return."""

import signal
import threading
import time

import pytest

from lib import reply, wait

STATE = "kube_introspect_breaker_state"


def state(webhook):
    return webhook.metric(STATE, issuer="corp")


def open_breaker(webhook, caller, provider):
    """Logs in with new tokens until the breaker is open."""

    def is_open():
        caller.review(provider.issue())
        return state(webhook) == 2

    wait.until(is_open, lambda: f"the breaker opens: {webhook.log_text()[-2000:]}")


def test_an_open_breaker_leaves_the_provider_alone_says_so_and_keeps_us_ready(provider, start):
    webhook = start(provider, {"introspection": {"breaker": {"openFor": "1m"}}})
    caller, good = webhook.caller(), provider.issue()
    assert caller.review(good).verdict == "allow"
    provider.stop()
    open_breaker(webhook, caller, provider)
    webhook.wait_log("the breaker opens", "corp", "provider_unreachable")
    began = time.monotonic()
    answer, record = webhook.reason_of(lambda: caller.review(provider.issue()))
    if record["reason"] == "provider_unreachable":  # the one that was let through
        answer, record = webhook.reason_of(lambda: caller.review(provider.issue()))
    assert (answer.verdict, record["reason"]) == ("unavailable", "breaker_open")
    assert time.monotonic() - began < 1 + wait.STALL, "at once"
    assert caller.review(good).verdict == "allow", "what is remembered is served while the breaker is open"
    status, _, text = webhook.operations("/readyz?verbose")
    assert status == 200 and ("breaker open" in text or "breaker half-open" in text), text
    assert webhook.metric("kube_introspect_breaker_opens_total", issuer="corp") == 1


def test_a_dead_provider_is_called_once_a_second_and_back_within_two(provider, start):
    """Eight callers log in with new tokens without a pause."""
    def attempt():
        webhook = start(provider)
        provider.script = lambda request: reply.error(503)
        stopping, allowed = threading.Event(), []

        def log_in():
            caller = webhook.caller()
            while not stopping.is_set():
                if caller.review(provider.issue()).verdict == "allow":
                    allowed.append(time.monotonic())

        threads = [threading.Thread(target=log_in) for _ in range(8)]
        for thread in threads:
            thread.start()
        try:
            wait.until(lambda: state(webhook) != 0, "the breaker opens")
            began, before = time.monotonic(), provider.n_calls()
            wait.until(lambda: time.monotonic() - began > 3.5, "three and a half seconds have passed")
            n_calls, seconds = provider.n_calls() - before, time.monotonic() - began
            provider.script = None
            returned = time.monotonic()
            wait.until(lambda: allowed, "logins work again")
        finally:
            stopping.set()
            for thread in threads:
                thread.join()
        # Those that were under way when it opened may still arrive: one for each caller.
        assert n_calls <= seconds + 1 + len(threads), f"{n_calls} calls in {seconds:.1f} s"
        n_refused = webhook.metric("kube_introspect_reviews_total", verdict="unavailable", reason="breaker_open")
        print(f"{n_calls} calls and {n_refused:.0f} refusals in {seconds:.1f} s; back after {allowed[0] - returned:.2f} s")
        assert n_refused > 100
        assert allowed[0] - returned < 2 * wait.SLOWNESS
        webhook.wait_log("the breaker closes")

    wait.undisturbed(attempt)


def test_a_provider_that_has_answered_much_and_dies_is_left_alone_as_soon_as_another(provider, start):
    """Half of all calls within the window would be another hundred."""
    webhook = start(provider, {"introspection": {"budget": {"concurrent": 4}, "breaker": {"minimumCalls": 20, "openFor": "1m"}}})
    caller = webhook.caller()
    for _ in range(100):
        assert caller.review(provider.issue()).verdict == "allow"
    provider.script = lambda request: reply.error(500)
    reasons = [webhook.reason_of(lambda: caller.review(provider.issue()))[1]["reason"] for _ in range(25)]
    assert reasons == ["provider_error"] * 24 + ["breaker_open"], reasons


def test_a_provider_that_hangs_costs_five_callers_their_time_and_no_more(provider, start):
    webhook = start(provider, {"introspection": {"timeout": "200ms", "breaker": {"openFor": "1m"}}})
    provider.script = lambda request: reply.after(30, reply.active())
    caller = webhook.caller()
    reasons = [webhook.reason_of(lambda: caller.review(provider.issue()))[1]["reason"] for _ in range(6)]
    assert reasons == ["provider_timeout"] * 5 + ["breaker_open"], reasons


def test_a_reload_does_not_close_the_breaker(provider, start):
    webhook = start(provider, {"introspection": {"breaker": {"openFor": "1m"}}})
    caller = webhook.caller()
    provider.stop()
    open_breaker(webhook, caller, provider)
    provider.start()
    webhook.reload()
    answer, record = webhook.reason_of(lambda: caller.review(provider.issue()))
    assert (answer.verdict, record["reason"]) == ("unavailable", "breaker_open")


# They ended as time-outs, and five of those opened the breaker.
@pytest.mark.parametrize("answers", [True, False], ids=["answered_meanwhile", "stopped_with_the_provider"])
def test_calls_that_were_under_way_while_our_process_was_stopped_open_nothing(provider, start, answers):
    webhook = start(provider, {"introspection": {"timeout": f"{wait.STALL:g}s"}})
    callers, answered = [webhook.caller() for _ in range(30)], threading.Event()
    for caller in callers:
        token = provider.issue()
        provider.tokens[token] = reply.when(answered, provider.tokens[token])
        caller.ask(token, timeout="30s")
    provider.wait_for_calls(len(callers))
    webhook.signal(signal.SIGSTOP)
    stopped = time.monotonic()
    if answers:
        answered.set()
    wait.past(stopped, wait.STALL, "their time is over")
    webhook.signal(signal.SIGCONT)
    assert [caller.answer().verdict for caller in callers] == ["allow" if answers else "unavailable"] * len(callers)
    answered.set()
    assert state(webhook) == 0 and provider.n_calls() == len(callers)
    assert webhook.caller().review(provider.issue()).verdict == "allow"


def test_many_refusals_by_the_provider_open_nothing(provider, start):
    webhook = start(provider)
    caller = webhook.caller()
    provider.script = lambda request: reply.error(401)
    for _ in range(40):
        _, record = webhook.reason_of(lambda: caller.review(provider.issue()))
        assert record["reason"] == "client_credentials_rejected"
    assert state(webhook) == 0
