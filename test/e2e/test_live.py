"""What changes at the provider changes the answer within the cache's ttl."""

import time

import pytest

from lib import wait
from login import TTL_SECONDS

# For the poll itself, and a machine that does other things too.
SLACK_SECONDS = 5


def within_ttl(condition, expected):
    """Polls until the condition holds, which must be within ttl."""
    begun = time.monotonic()
    result = wait.until(condition, expected)
    seconds = time.monotonic() - begun
    assert seconds <= (TTL_SECONDS + SLACK_SECONDS) * wait.SLOWNESS, f"{expected}: took {seconds:.1f} s, ttl is {TTL_SECONDS:g} s"
    return result


@pytest.fixture
def groups_of_bob(provider):
    yield lambda groups: provider.set_groups("bob", groups)
    provider.set_groups("bob", ["viewers"])


def test_a_change_of_groups_is_seen_within_ttl(provider, start, groups_of_bob):
    login, token = start(provider), provider.password("bob")
    assert login.review(token).user["groups"] == ["corp:viewers"]
    groups_of_bob(["viewers", "on-call"])
    within_ttl(lambda: login.review(token).user["groups"] == ["corp:viewers", "corp:on-call"], "bob is on call")
    groups_of_bob([])
    within_ttl(lambda: not login.review(token).user.get("groups"), "bob is in no group")


def test_a_revoked_token_is_refused_within_ttl(provider, start):
    login, token = start(provider), provider.password()
    assert login.verdict(token) == ("allow", "ok")
    provider.revoke(token)
    answer = within_ttl(lambda: (refused := login.review(token)).verdict != "allow" and refused, "the revoked token is refused")
    assert answer.verdict == "deny"
    assert login.webhook.wait_audit(verdict="deny")[0]["reason"] == "inactive"


def test_the_revocation_of_one_token_leaves_the_users_other_tokens(provider, start):
    login, revoked, other = start(provider), provider.password(), provider.password()
    assert login.verdict(revoked) == login.verdict(other) == ("allow", "ok")
    provider.revoke(revoked)
    within_ttl(lambda: login.review(revoked).verdict == "deny", "the revoked token is refused")
    assert login.verdict(other) == ("allow", "ok")


def test_the_cache_answers_while_an_answer_is_fresh(provider, start):
    login, token = start(provider, {"cache": {"ttl": "60s"}}), provider.password()
    assert [login.verdict(token) for _ in range(3)] == [("allow", "ok")] * 3
    records = login.records()
    assert [record["cache"] for record in records] == ["miss", "hit", "hit"]
    assert len({record["credential"] for record in records}) == 1
