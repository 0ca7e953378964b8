"""Tokens in use are asked about again before their answer ends, and nobody waits for that."""

import time

from lib import reply, wait

AHEAD = {"cache": {"ttl": "2s", "refreshAhead": "1s"}}


def use(caller, tokens, seconds):
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        for token in tokens:
            assert caller.review(token).verdict == "allow"


def test_a_token_in_use_is_never_waited_for_and_one_that_is_not_is_let_go(provider, start):
    def attempt():
        webhook = start(provider, AHEAD)
        caller, used, unused = webhook.caller(), provider.issue(), provider.issue()
        assert caller.review(unused).verdict == "allow"
        use(caller, [used], 5)
        misses = webhook.metric("kube_introspect_cache_lookups_total", outcome="miss")
        stale = webhook.metric("kube_introspect_cache_lookups_total", outcome="stale")
        assert (misses, stale) == (2, 0), "but for the first two, each login was answered from the cache"
        assert 3 <= provider.n_calls(used) <= 7 and provider.n_calls(unused) == 1
        wait.until(lambda: webhook.metric("kube_introspect_refreshes_total", issuer="corp", result="success") ==
                   provider.n_calls(used) - 1, "each refresh is counted")

    wait.undisturbed(attempt)


def test_a_refresh_sees_a_revocation(provider, start):
    def attempt():
        webhook = start(provider, AHEAD)
        caller, token = webhook.caller(), provider.issue()
        use(caller, [token], 0.1)
        provider.knows(token, reply.inactive())
        wait.until(lambda: caller.review(token).verdict == "deny", "the token is revoked", seconds=5)
        assert webhook.metric("kube_introspect_cache_lookups_total", outcome="stale") == 0

    wait.undisturbed(attempt)


def test_a_refresh_that_fails_changes_nothing_before_the_end(provider, start):
    def attempt():
        webhook = start(provider, AHEAD)
        caller, token = webhook.caller(), provider.issue()
        assert caller.review(token).verdict == "allow"
        provider.knows(token, reply.error(500))
        wait.until(lambda: caller.review(token).verdict == "unavailable", "the answer has ended", seconds=5)
        assert webhook.metric("kube_introspect_refreshes_total", issuer="corp", result="failure") == 1

    wait.undisturbed(attempt)


def test_tokens_of_one_moment_are_not_asked_about_in_one_moment_again(provider, start):
    def attempt():
        webhook = start(provider, {"cache": {"ttl": "4s", "refreshAhead": "2s"}})
        caller, tokens, times = webhook.caller(), [provider.issue() for _ in range(100)], []
        provider.script = None
        for token in tokens:
            assert caller.review(token).verdict == "allow"
        provider.script = lambda request: times.append(time.monotonic())
        use(caller, tokens, 4.5)
        assert len(times) >= len(tokens)
        first = times[:len(tokens)]
        slots = [sum(1 for at in first if slot <= (at - first[0]) / 0.25 < slot + 1) for slot in range(8)]
        print(f"100 tokens asked about again within {first[-1] - first[0]:.2f} s; by quarters of a second: {slots}")
        assert first[-1] - first[0] > 1.0 and max(slots) <= 60
        assert webhook.metric("kube_introspect_cache_lookups_total", outcome="stale") == 0

    wait.undisturbed(attempt)
