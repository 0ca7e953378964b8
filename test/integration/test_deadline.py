"""The caller's ?timeout= is its deadline: the answer comes before it, whatever the provider does."""

import time

import pytest

from lib import reply, sentinel, wait
from lib.caller import answer_of, body


@pytest.mark.parametrize("timeout, seconds", [("1s", 1.0), ("500ms", 0.5), ("0.5s", 0.5)])
def test_a_slow_provider_does_not_keep_the_caller_past_its_timeout(provider, start, timeout, seconds):
    webhook = start(provider, {"introspection": {"timeout": "10s"}})
    caller = webhook.caller()
    caller.connect()
    token = provider.knows(sentinel.token(), reply.silence())
    took = []

    def ask():  # and no more is measured than that: the audit record may be a moment later
        began = time.monotonic()
        answer = caller.review(token, timeout=timeout)
        took.append(time.monotonic() - began)
        return answer

    def in_time():
        answer, record = webhook.reason_of(ask)
        assert answer.verdict == "unavailable" and record["reason"] == "deadline_exceeded"
        assert seconds / 2 < took[-1] < seconds * wait.SLOWNESS, f"expected the answer before {seconds} s, it took {took[-1]:.3f} s"

    wait.undisturbed(in_time)


def test_a_call_ends_at_the_configured_timeout_when_the_caller_has_more_time(provider, start):
    webhook = start(provider, {"introspection": {"timeout": "300ms"}})
    token = provider.knows(sentinel.token(), reply.silence())
    began = time.monotonic()
    answer, record = webhook.reason_of(lambda: webhook.caller().review(token, timeout="30s"))
    assert answer.verdict == "unavailable" and record["reason"] == "provider_timeout"
    assert 0.3 <= time.monotonic() - began < 0.3 + wait.STALL


def test_a_dripping_provider_is_cut_off(provider, start):
    webhook = start(provider, {"introspection": {"timeout": "300ms"}})
    token = provider.knows(sentinel.token(), reply.drip(b'{"active": false' + b" " * 100000 + b"}", 0.02))
    answer, record = webhook.reason_of(lambda: webhook.caller().review(token, timeout="30s"))
    assert answer.verdict == "unavailable" and record["reason"] == "provider_timeout"


def test_who_has_more_time_gets_the_answer_of_the_flight_that_another_gave_up(provider, start):
    webhook = start(provider, {"introspection": {"timeout": "10s"}})
    hurried, patient = webhook.caller(), webhook.caller()
    token = provider.issue()
    with provider.holding(token) as go:
        patient.ask(token, timeout="30s")
        provider.wait_for_calls(1, token)
        assert hurried.review(token, timeout="200ms").verdict == "unavailable"
        go.set()
        assert patient.answer().verdict == "allow"
    assert hurried.review(token).verdict == "allow"
    assert provider.n_calls(token) == 1


def test_a_deadline_is_no_fault_of_the_token_and_is_not_remembered(provider, start):
    webhook = start(provider)
    caller = webhook.caller()
    token = provider.knows(sentinel.token(), reply.in_turn(reply.silence(), reply.active()))
    assert caller.review(token, timeout="200ms").verdict == "unavailable"
    wait.until(lambda: caller.review(token, timeout="1s").verdict == "allow", "the token is allowed")


@pytest.mark.parametrize("query", [
    "timeout=", "timeout=abc", "timeout=-1s", "timeout=1", "timeout=1s1", "a=b&timeout=30s", "timeout=99999999h", "timeouts=0s",
    "&&&", "timeout=1e9s", "timeout=.s"])
def test_a_strange_query_is_no_fault_of_the_review(shared, query):
    answer = answer_of(shared.caller.post(body(shared.provider.issue()), "/authenticate?" + query))
    assert answer.verdict == "allow"
