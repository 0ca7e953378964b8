"""A call whose failure may pass is made once more, and its callers never notice; everything else is not."""

import pytest

from lib import reply, sentinel


@pytest.mark.parametrize("failure", [reply.error(502), reply.error(503), reply.error(504), reply.hang_up(), reply.reset(),
                                     reply.error(429, headers=[("Retry-After", "0")])],
                         ids=["502", "503", "504", "hang-up", "reset", "429"])
def test_one_failure_costs_nobody_a_login(provider, start, failure):
    webhook = start(provider)
    token = provider.knows(sentinel.token(), reply.in_turn(failure, reply.active()))
    assert webhook.caller().review(token).verdict == "allow"
    assert provider.n_calls(token) == 2
    assert webhook.metric("kube_introspect_retries_total", issuer="corp", result="made") == 1


def test_a_throttled_call_waits_as_long_as_it_was_asked_to_unless_its_caller_cannot(provider, start):
    webhook = start(provider)
    later = reply.error(429, headers=[("Retry-After", "1")])
    token = provider.knows(sentinel.token(), reply.in_turn(later, reply.active()))
    assert webhook.caller().review(token, timeout="9s").verdict == "allow"
    later = reply.error(429, headers=[("Retry-After", "30")])
    token = provider.knows(sentinel.token(), reply.in_turn(later, reply.active()))
    answer, record = webhook.reason_of(lambda: webhook.caller().review(token, timeout="20s"))
    assert (answer.verdict, record["reason"]) == ("unavailable", "provider_throttled")
    assert record["durationMicroseconds"] < 8_000_000, "it was clear at once that there would be no answer"


def test_five_hundred_callers_of_a_token_that_fails_once_cost_two_calls(provider, start):
    webhook = start(provider)
    token = sentinel.token()
    callers = [webhook.caller() for _ in range(500)]
    for caller in callers:
        caller.connect()
    with provider.holding(token, reply.in_turn(reply.error(503), reply.active())) as go:
        for caller in callers:
            caller.ask(token, timeout="30s")
        provider.wait_for_calls(1, token)
        go.set()
        assert {caller.answer().verdict for caller in callers} == {"allow"}
    assert provider.n_calls(token) == 2
    for caller in callers:
        caller.close()


def test_a_provider_that_is_down_gets_a_tenth_more_calls_and_no_more(provider, start):
    webhook = start(provider, {"introspection": {"breaker": {"minimumCalls": 10000}}})
    provider.script = lambda request: reply.error(503)
    caller = webhook.caller()
    for _ in range(100):
        assert caller.review(sentinel.token()).verdict == "unavailable"
    assert 100 + 10 <= provider.n_calls() <= 100 + 10 + 10
    assert webhook.metric("kube_introspect_retries_total", issuer="corp", result="refused") > 0
