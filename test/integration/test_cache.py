"""What the webhook remembers of a provider's answers, and for how long."""

import time

from lib import reply, sentinel, wait


def n_calls_after(webhook, provider, token, n):
    caller = webhook.caller()
    verdicts = [caller.review(token).verdict for _ in range(n)]
    return verdicts, provider.n_calls(token)


def outcomes(webhook, n):
    return [record["cache"] for record in webhook.wait_audit(n)]


def test_a_token_in_use_is_asked_about_once_within_its_ttl(provider, start):
    webhook = start(provider)
    assert n_calls_after(webhook, provider, provider.issue(), 20) == (["allow"] * 20, 1)
    assert outcomes(webhook, 20) == ["miss"] + ["hit"] * 19


def test_after_the_ttl_the_provider_is_asked_again_and_believed(provider, start):
    def attempt():
        webhook = start(provider, {"cache": {"ttl": "300ms", "refreshAhead": "0s"}})
        caller, token = webhook.caller(), provider.issue()
        assert caller.review(token).verdict == "allow"
        began = time.monotonic()
        provider.knows(token, reply.inactive())
        wait.until(lambda: caller.review(token).verdict == "deny", "the revoked token is refused")
        assert time.monotonic() - began < 1.0 * wait.SLOWNESS, "a revoked token outlived its ttl"
        assert provider.n_calls(token) == 2
        assert "stale" in {record["cache"] for record in webhook.wait_audit(reason="inactive")}

    wait.undisturbed(attempt)


def test_with_a_ttl_of_zero_every_review_asks(provider, start):
    webhook = start(provider, {"cache": {"ttl": "0s"}})
    caller, token = webhook.caller(), provider.issue()
    for _ in range(5):
        assert caller.review(token).verdict == "allow"
        wait.next_millisecond()
    assert provider.n_calls(token) == 5


def test_a_no_is_remembered_for_the_negative_ttl(provider, start):
    webhook = start(provider, {"cache": {"negativeTTL": f"{wait.STALL + 1:g}s"}})
    caller, token = webhook.caller(), sentinel.token()
    assert [caller.review(token).verdict for _ in range(3)] == ["deny"] * 3
    assert provider.n_calls(token) == 1
    assert outcomes(webhook, 3) == ["miss", "negative", "negative"]
    provider.knows(token, reply.active())  # an account that was enabled again
    wait.until(lambda: caller.review(token).verdict == "allow", "the token that became active is allowed")
    assert provider.n_calls(token) == 2


def test_an_unsupported_token_type_is_a_no_and_is_remembered(provider, start):
    webhook = start(provider)
    token = provider.knows(sentinel.token(), reply.error(400, "unsupported_token_type"))
    assert n_calls_after(webhook, provider, token, 3) == (["deny"] * 3, 1)


def test_a_token_ends_with_its_exp_though_its_ttl_goes_on(provider, start):
    def attempt():
        webhook = start(provider, {"clockSkew": "0s"})
        caller = webhook.caller()
        token = provider.issue(exp=int(time.time()) + 2)
        assert caller.review(token).verdict == "allow"
        wait.until(lambda: caller.review(token).verdict == "deny", "the token is refused after its exp", seconds=4)
        assert provider.n_calls(token) == 1, "the fact has exp in it: nobody needs to be asked"
        assert webhook.wait_audit(reason="expired")[0]["cache"] == "hit"

    wait.undisturbed(attempt)


def test_clock_skew_is_granted_to_nbf_and_iat_and_never_to_exp(provider, start):
    webhook = start(provider, {"clockSkew": "30s"})
    caller, now = webhook.caller(), int(time.time())
    assert caller.review(provider.issue(nbf=now + 20, iat=now + 20)).verdict == "allow"
    assert caller.review(provider.issue(exp=now - 5)).verdict == "deny"


def test_a_tier_shortens_the_ttl_of_its_groups_only(provider, start):
    tiers = [{"groups": ["platform-admins"], "ttl": "200ms"}]
    webhook = start(provider, {"cache": {"ttl": "5m", "tiers": tiers}})
    caller = webhook.caller()
    admin, other = provider.issue(groups=["x", "platform-admins"]), provider.issue(groups=["developers"])
    for token in (admin, other):
        assert caller.review(token).verdict == "allow"
        provider.knows(token, reply.inactive())
    wait.until(lambda: caller.review(admin).verdict == "deny", "the admin's token is asked about after 200 ms", seconds=3)
    assert caller.review(other).verdict == "allow" and provider.n_calls(other) == 1


def test_a_refusal_by_our_own_rules_is_no_fact_and_follows_the_rules(provider, start):
    webhook = start(provider, {"tokens": {"clientIDs": ["another"]}})
    caller, token = webhook.caller(), provider.issue()
    assert caller.review(token).verdict == "deny"
    webhook.reload([{**webhook.issuers[0], "tokens": {"jwt": True, "opaque": True, "clientIDs": ["kubectl"]}}])
    wait.until(lambda: caller.review(token).verdict == "allow", "the token is allowed by the new rules")
    assert provider.n_calls(token) == 1, "a changed rule asked the provider again"


def test_a_flood_of_garbage_tokens_does_not_evict_a_good_one(provider, start):
    webhook = start(provider, {"cache": {"ttl": "5m"}}, changes={"cache": {"maxEntries": 64, "maxNegativeEntries": 64}})
    caller, good = webhook.caller(), provider.issue()
    assert caller.review(good).verdict == "allow"
    for _ in range(400):
        assert caller.review(sentinel.token()).verdict == "deny"
    assert caller.review(good).verdict == "allow" and provider.n_calls(good) == 1
    assert webhook.metric("kube_introspect_cache_entries", part="negative") <= 64


def test_good_tokens_over_the_limit_make_room_for_each_other(provider, start):
    webhook = start(provider, changes={"cache": {"maxEntries": 64}})
    caller = webhook.caller()
    tokens = [provider.issue() for _ in range(200)]
    assert {caller.review(token).verdict for token in tokens} == {"allow"}
    assert webhook.metric("kube_introspect_cache_entries", part="positive") <= 64
    assert {caller.review(token).verdict for token in tokens[:5]} == {"allow"}


def test_two_tokens_that_differ_in_the_last_character_are_two(provider, start):
    webhook = start(provider)
    caller, token = webhook.caller(), provider.issue()
    assert caller.review(token).verdict == "allow"
    assert caller.review(sentinel.remember(token[:-1] + "Z")).verdict == "deny"
    assert caller.review(sentinel.remember(token + "Z")).verdict == "deny"
    assert caller.review(sentinel.remember(token[:-1])).verdict == "deny"
