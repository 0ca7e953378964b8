"""A provider that goes away and comes back: its silence is never a verdict on a token."""

import pytest

from lib import wait


def until_allowed(login, token):
    wait.until(lambda: login.review(token).verdict == "allow", "the token is accepted again", seconds=30)


def test_a_provider_that_is_down_is_unavailable_and_then_back(own_provider, start):
    provider = own_provider()
    login, token = start(provider), provider.password()
    assert login.verdict(token) == ("allow", "ok")
    provider.stop()
    answer = wait.until(lambda: (other := login.review(token)).verdict != "allow" and other, "the cached answer ends")
    assert answer.verdict == "unavailable"
    assert login.webhook.wait_audit(verdict="unavailable")[0]["reason"] == "provider_unreachable"
    provider.start()
    until_allowed(login, provider.password())
    # The restarted provider has forgotten the old token: now, and only now, that is a no.
    assert login.verdict(token) == ("deny", "inactive")


def test_a_cached_answer_outlives_the_provider_until_its_ttl(own_provider, start):
    provider = own_provider()
    login, token = start(provider, {"cache": {"ttl": "60s"}}), provider.password()
    assert login.verdict(token) == ("allow", "ok")
    other = provider.password("bob")
    provider.stop()
    assert login.verdict(token) == ("allow", "ok")
    assert login.verdict(other) == ("unavailable", "provider_unreachable")


def test_a_provider_that_is_silent_is_unavailable_and_the_same_token_is_accepted_afterwards(own_provider, start):
    provider = own_provider()
    login, token = start(provider, {"introspection": {"timeout": "300ms"}}), provider.password()
    provider.freeze()
    assert login.verdict(token) == ("unavailable", "provider_timeout")
    provider.thaw()
    until_allowed(login, token)


@pytest.mark.parametrize("n_tokens", [3])
def test_a_webhook_that_starts_before_its_provider_serves_when_the_provider_is_there(own_provider, start, n_tokens):
    provider = own_provider()
    tokens = [f"Kt2-no-token-of-this-provider-{number}-6Hs9" for number in range(n_tokens)]
    provider.stop()
    login = start(provider, ready=False)
    assert {login.verdict(token) for token in tokens} == {("unavailable", "discovery_failed")}
    provider.start()
    until_allowed(login, provider.password())
    assert [login.verdict(token) for token in tokens] == [("deny", "inactive")] * n_tokens
