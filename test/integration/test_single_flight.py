"""Callers that ask for the same token while a call is under way wait for that call."""

from lib import reply, sentinel


def test_five_hundred_simultaneous_callers_of_one_new_token_cost_one_call(provider, start):
    webhook = start(provider)
    token = provider.issue()
    callers = [webhook.caller() for _ in range(500)]
    for caller in callers:
        caller.connect()
    with provider.holding(token) as go:
        for caller in callers:
            caller.ask(token, timeout="30s")
        provider.wait_for_calls(1, token)
        go.set()
        verdicts = {caller.answer().verdict for caller in callers}
    assert verdicts == {"allow"}
    assert provider.n_calls(token) == 1, f"expected 1 call for 500 callers, got {provider.n_calls(token)}"
    for caller in callers:
        caller.close()


def test_a_fault_is_everybodys_answer_and_nobodys_memory(provider, start):
    webhook = start(provider)
    token = sentinel.token()
    callers = [webhook.caller() for _ in range(20)]
    with provider.holding(token, reply.error(500)) as go:
        for caller in callers:
            caller.ask(token)
        provider.wait_for_calls(1, token)
        go.set()
        assert {caller.answer().verdict for caller in callers} == {"unavailable"}
    provider.knows(token, reply.active())
    assert callers[0].review(token).verdict == "allow"


def test_two_tokens_fly_side_by_side(provider, start):
    webhook = start(provider)
    first, second = webhook.caller(), webhook.caller()
    slow, quick = provider.issue(), provider.issue()
    with provider.holding(slow) as go:
        first.ask(slow)
        provider.wait_for_calls(1, slow)
        assert second.review(quick).verdict == "allow"
        go.set()
        assert first.answer().verdict == "allow"


def test_calls_at_once_are_bounded_and_the_rest_waits_its_turn(provider, start):
    webhook = start(provider, {"introspection": {"budget": {"concurrent": 2}}})
    tokens = [provider.issue() for _ in range(12)]
    for token in tokens:
        provider.tokens[token] = reply.after(0.02, provider.tokens[token])
    callers = [webhook.caller() for _ in tokens]
    for caller in callers:
        caller.connect()
    for caller, token in zip(callers, tokens):
        caller.ask(token)
    assert {caller.answer().verdict for caller in callers} == {"allow"}
    assert provider.max_at_once == 2, f"expected 2 calls at once, as configured, got {provider.max_at_once}"
    assert provider.n_connections <= 2
