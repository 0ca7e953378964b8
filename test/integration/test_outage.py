"""A provider that goes and comes back."""

import time

from lib import reply, sentinel, wait


def test_a_vanished_provider_is_unavailable_and_never_a_no_and_back_within_a_second(provider, start):
    def attempt():
        webhook = start(provider)
        caller, token = webhook.caller(), provider.issue()
        assert caller.review(provider.issue()).verdict == "allow"  # there is a connection to lose
        provider.stop()
        for _ in range(3):
            answer, record = webhook.reason_of(lambda: caller.review(token))
            assert (answer.verdict, record["reason"]) == ("unavailable", "provider_unreachable")
        provider.start()
        began = time.monotonic()
        wait.until(lambda: caller.review(token).verdict == "allow", "the token is allowed after the provider came back")
        assert time.monotonic() - began < 1.0 * wait.SLOWNESS, "the webhook needed more than a second to see the provider again"

    wait.undisturbed(attempt)


def test_what_is_remembered_is_served_while_the_provider_is_away_but_not_past_its_ttl(provider, start):
    webhook = start(provider, {"cache": {"ttl": f"{wait.STALL + 1:g}s"}})
    caller, token = webhook.caller(), provider.issue()
    assert caller.review(token).verdict == "allow"
    provider.stop()
    assert caller.review(token).verdict == "allow"
    wait.until(lambda: caller.review(token).verdict == "unavailable", "past its ttl nothing is served")


def test_a_vanished_provider_does_not_make_the_webhook_unready_or_dead(provider, start):
    webhook = start(provider)
    provider.stop()
    assert webhook.caller().review(sentinel.token()).verdict == "unavailable"
    assert webhook.is_ready()
    webhook.wait_live()


def test_an_idle_connection_that_the_provider_closed_fails_no_login(provider, start):
    webhook = start(provider)
    caller = webhook.caller()
    for _ in range(10):
        assert caller.review(provider.issue()).verdict == "allow"
        provider.close_idle()
    assert caller.review(provider.issue()).verdict == "allow"
    assert provider.n_connections > 1, "the provider closed no connection: nothing was tried"


def test_a_connection_that_closes_behind_each_reply_fails_no_login(provider, start):
    webhook = start(provider)
    caller = webhook.caller()
    for _ in range(20):
        token = provider.knows(sentinel.token(), reply.closing(reply.active()))
        assert caller.review(token).verdict == "allow"


def test_connections_are_kept_and_used_again(provider, start):
    webhook = start(provider)
    caller = webhook.caller()
    for _ in range(30):
        assert caller.review(provider.issue()).verdict == "allow"
    assert provider.n_connections == 1, f"expected one connection for 30 calls in turn, got {provider.n_connections}"


def test_the_provider_is_not_asked_before_somebody_logs_in(provider, start):
    start(provider)
    assert provider.requests == []


def test_a_provider_with_a_certificate_of_another_ca_gets_no_token(provider, start):
    webhook = start(provider)
    provider.use_certificate(provider.certificates.provider_of_other_ca)
    answer, record = webhook.reason_of(lambda: webhook.caller().review(provider.issue()))
    assert (answer.verdict, record["reason"]) == ("unavailable", "provider_tls")
    assert provider.n_calls() == 0


def test_a_provider_with_the_certificate_of_another_host_gets_no_token(provider, start):
    webhook = start(provider)
    provider.use_certificate(provider.certificates.provider_of_other_host)
    answer, record = webhook.reason_of(lambda: webhook.caller().review(provider.issue()))
    assert (answer.verdict, record["reason"]) == ("unavailable", "provider_tls")
    assert provider.n_calls() == 0


def test_the_call_is_what_rfc_7662_asks_for(provider, start):
    webhook = start(provider)
    token = provider.issue()
    webhook.caller().review(token)
    call = provider.calls(token)[0]
    assert call.method == "POST"
    assert call.headers["content-type"] == "application/x-www-form-urlencoded"
    assert "application/json" in call.headers["accept"]
    assert call.form == {"token": token, "token_type_hint": "access_token"}
    assert "expect" not in call.headers, "Expect: 100-continue costs a round trip"
    assert token not in call.path


def test_a_token_with_every_character_that_one_may_have_arrives_unchanged(provider, start):
    webhook = start(provider)
    token = sentinel.remember(sentinel.TOKEN + "-._~+/AZaz09==")
    provider.knows(token, reply.active())
    assert webhook.caller().review(token).verdict == "allow"
