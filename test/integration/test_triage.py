"""Which tokens leave the machine, and where they go: decided before anybody is asked."""

import pytest

from lib import configuration, jwt, reply, sentinel

KUBERNETES = "https://kubernetes.default.svc.cluster.local"


def test_an_opaque_token_and_a_jwt_of_the_issuer_are_asked_about(shared):
    for token in (sentinel.token(), jwt.signed(iss=shared.provider.url, sub="alice")):
        shared.provider.knows(token, reply.active(iss=shared.provider.url))
        assert shared.caller.review(token).verdict == "allow"
        assert shared.provider.n_calls(token) == 1


def test_a_jwe_in_five_parts_is_opaque_and_is_asked_about(shared):
    token = shared.provider.knows(jwt.encrypted(), reply.active())
    assert token.startswith("eyJ") and token.count(".") == 4
    assert shared.caller.review(token).verdict == "allow"


STAYS = {
    "a JWT of another issuer": lambda: jwt.signed(iss="https://id.another-company.example", sub="alice", aud="kubernetes"),
    "a JWT of no issuer": lambda: jwt.signed(sub="alice"),
    "a JWT whose iss is no text": lambda: jwt.signed(iss=["a"], sub="alice"),
    "a bound service-account token": lambda: jwt.signed(
        iss=KUBERNETES, sub="system:serviceaccount:default:builder", aud=[KUBERNETES],
        **{"kubernetes.io": {"namespace": "default", "serviceaccount": {"name": "builder"}}}),
    "a legacy service-account token": lambda: jwt.signed(
        iss="kubernetes/serviceaccount", sub="system:serviceaccount:default:builder",
        **{"kubernetes.io/serviceaccount/namespace": "default"}),
    "an unsigned JWT of another issuer": lambda: jwt.signed({"alg": "none"}, iss="https://evil.example", sub="alice"),
    "a token over 32 KiB": lambda: sentinel.remember(sentinel.TOKEN * 800),
    "a token with a space": lambda: sentinel.remember(sentinel.TOKEN + " x"),
    "a token with a line break": lambda: sentinel.remember(sentinel.TOKEN + "\r\nX-Injected: 1"),
    "a token with an equals sign inside": lambda: sentinel.remember(sentinel.TOKEN + "=x"),
    "a token that is not ASCII": lambda: sentinel.remember(sentinel.TOKEN + "\u00fc"),
}


@pytest.mark.parametrize("kind", STAYS)
def test_it_is_answered_here_and_never_leaves(shared, kind):
    token = STAYS[kind]()
    before = len(shared.provider.requests)
    answer, record = shared.webhook.reason_of(lambda: shared.caller.review(token))
    assert answer.verdict == "deny", f"expected a definite no for {kind}, got {answer.review}"
    assert len(shared.provider.requests) == before, f"{kind} has left the machine"
    assert record["cache"] == "none" and record.get("providerMicroseconds") in (None, -1, 0)


def test_a_jwt_stays_where_the_issuer_takes_opaque_tokens_only(provider, start):
    webhook = start(provider, {"tokens": {"jwt": False}})
    answer, record = webhook.reason_of(lambda: webhook.caller().review(jwt.signed(iss=provider.url, sub="alice")))
    assert (answer.verdict, record["reason"]) == ("deny", "no_issuer") and provider.n_calls() == 0


def test_an_opaque_token_stays_where_the_issuer_takes_jwts_only(provider, start):
    webhook = start(provider, {"tokens": {"opaque": False}})
    answer, record = webhook.reason_of(lambda: webhook.caller().review(sentinel.token()))
    assert (answer.verdict, record["reason"]) == ("deny", "no_issuer") and provider.n_calls() == 0


@pytest.fixture
def two(providers, start):
    """Two issuers, told apart by prefix and by iss."""
    first, second = providers(), providers()
    webhook = start(issuers=[
        configuration.issuer(first, {"tokens": {"opaquePrefix": "one_"}}, name="first"),
        configuration.issuer(second, {"tokens": {"opaquePrefix": "two_"}, "claimMappings": {
            "username": {"prefix": "second:"}, "groups": {"prefix": "second:"}}}, name="second")])
    return first, second, webhook


def test_each_of_two_issuers_is_asked_about_its_own_opaque_tokens_only(two):
    first, second, webhook = two
    caller = webhook.caller()
    mine, other = first.issue("one_"), second.issue("two_")
    assert caller.review(mine).user["username"] == "corp:alice"
    assert caller.review(other).user["username"] == "second:alice"
    assert (first.n_calls(), second.n_calls()) == (1, 1)
    assert [record["issuer"] for record in webhook.wait_audit(2)] == ["first", "second"]
    assert caller.review(sentinel.token("three_")).verdict == "deny"
    assert (first.n_calls(), second.n_calls()) == (1, 1), "a token of neither prefix has left the machine"


def test_each_of_two_issuers_is_asked_about_its_own_jwts_only(two):
    first, second, webhook = two
    caller = webhook.caller()
    for provider, other in ((first, second), (second, first)):
        token = provider.knows(jwt.signed(iss=provider.url, sub="alice"), reply.active())
        assert caller.review(token).verdict == "allow"
        assert provider.n_calls(token) == 1 and other.n_calls(token) == 0


def test_one_provider_that_is_away_does_not_touch_the_other(two):
    first, second, webhook = two
    first.stop()
    caller = webhook.caller()
    assert caller.review(sentinel.token("one_")).verdict == "unavailable"
    assert caller.review(second.issue("two_")).verdict == "allow"
    assert webhook.is_ready(), "one provider that is away makes the webhook unready for the users of all"


def test_the_longest_prefix_wins(providers, start):
    short, long = providers(), providers()
    webhook = start(issuers=[
        configuration.issuer(short, {"tokens": {"jwt": False, "opaquePrefix": "gh"}}, name="short"),
        configuration.issuer(long, {"tokens": {"jwt": False, "opaquePrefix": "gho_"}}, name="long")])
    assert webhook.caller().review(long.issue("gho_")).verdict == "allow"
    assert webhook.caller().review(short.issue("ghp_")).verdict == "allow"
    assert (short.n_calls(), long.n_calls()) == (1, 1)
