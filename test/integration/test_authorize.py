"""POST /authorize: every reason from outside, and what follows from each. Nothing is ever allowed there: lib/authorizer.py fails
on any answer that would."""

import time

import pytest

from lib import authorizer, handle, reasons, reply, wait
from lib.authorizer import V1, V1BETA1, authorize, handle_of, login, with_handles

CHANGES = {"handle": handle.HANDLE}
NOW = {"handle": {**handle.HANDLE, "recheckAfter": "0s"}}  # each request asks the provider
SHORT = {"cache": {"ttl": "200ms"}}


def told(answer, word):
    """The answer's form and text are those of the reason."""
    verdict, sentence = reasons.read()[word]
    assert answer.verdict == verdict, f"expected {verdict} for {word}, got {answer.review}"
    if verdict == "deny":
        assert sentence in answer.reason and word in answer.reason, answer.review
    if verdict == "unavailable":
        assert sentence in answer.error and word in answer.reason, answer.review


def expect(webhook, user, word, **more):
    """Asks, and sees that answer, audit log and metrics say this reason; gives the record."""
    name = "kube_introspect_authorization_reviews_total"
    verdict = reasons.read()[word][0]
    before = webhook.metric(name, verdict=verdict, reason=word) or 0
    answer, record = webhook.reason_of(lambda: authorize(webhook.caller(), user, **more))
    assert record["reason"] == word, f"expected {word}, got {record}; log {webhook.log}"
    told(answer, word)
    assert (record["kind"], record["verdict"]) == ("SubjectAccessReview", verdict)
    assert (record["user"]["username"], record["user"].get("uid", "")) == (user["username"], user.get("uid", ""))
    assert webhook.metric(name, verdict=verdict, reason=word) == before + 1
    if verdict != "allow":
        assert record["requestID"] in answer.reason
    return record


# ---- the handle of a login

def test_a_login_carries_a_handle_that_is_of_this_very_form(shared):
    token = shared.provider.issue(sub="u-77")
    user = login(shared.caller, token)
    given = handle_of(user)
    issued = int(given.split(".")[1])
    assert abs(issued - time.time()) < 30 and len(given) <= 128
    assert given == handle.sign(handle.fact_key(given), "corp:alice", "u-77", at=issued)
    assert handle.fact_key(given)[:16].hex() == user["extra"][handle.CREDENTIAL][0]


@pytest.mark.parametrize("claims, groups", [({}, True), ({"groups": []}, True), ({"sub": 'a"\\\u00e9'}, True)])
def test_a_handle_stands_in_every_form_of_a_user(shared, claims, groups):
    user = login(shared.caller, shared.provider.issue(**claims))
    assert authorize(shared.caller, user).verdict == "allow"


def test_no_handle_is_given_to_whoever_is_refused(shared):
    token = shared.provider.knows(shared.provider.issue(), reply.error(500))
    for refused in (shared.caller.review(token), shared.caller.review("nobody-knows-this")):
        assert handle.KEY not in str(refused.review)


def test_without_a_configured_handle_none_is_given_and_nothing_is_checked(provider, start):
    webhook = start(provider)
    answer = webhook.caller().review(provider.issue())
    assert handle.KEY not in answer.user["extra"] and handle.CREDENTIAL in answer.user["extra"]
    expect(webhook, answer.user, "handle_off")
    expect(webhook, with_handles(answer.user, "nonsense"), "handle_off")


# ---- every reason

def test_reason_ok_and_what_its_record_says(shared):
    user = login(shared.caller, shared.provider.issue())
    attributes = {"resourceAttributes": {"verb": "update", "group": "apps", "version": "v1", "resource": "deployments",
                                         "subresource": "scale", "namespace": "team-a", "name": "web"}}
    record = expect(shared.webhook, user, "ok", attributes=attributes)
    assert record["request"] == {"verb": "update", "group": "apps", "resource": "deployments", "subresource": "scale",
                                 "namespace": "team-a", "name": "web"}
    assert record["credential"] == user["extra"][handle.CREDENTIAL][0]
    assert (record["issuer"], record["cache"], record["caller"]) == ("corp", "hit", "kube-apiserver")
    assert "providerMicroseconds" not in record
    record = expect(shared.webhook, user, "ok", attributes={"nonResourceAttributes": {"verb": "get", "path": "/healthz"}})
    assert record["request"] == {"verb": "get", "path": "/healthz"}


def test_reason_not_ours(shared):
    expect(shared.webhook, {"username": "system:kube-scheduler"}, "not_ours")


def test_reason_handle_absent(shared):
    user = login(shared.caller, shared.provider.issue())
    record = expect(shared.webhook, with_handles(user), "handle_absent")
    assert "credential" not in record, "a handle that is not there leads to no token"


def test_reason_handle_doubled(shared):
    user = login(shared.caller, shared.provider.issue())
    expect(shared.webhook, with_handles(user, handle_of(user), handle_of(user)), "handle_doubled")


@pytest.mark.parametrize("text", ["", "1", "1....", "nonsense", "x" * 4000, "2.1700000000.a.b.c"])
def test_reason_handle_malformed(shared, text):
    user = login(shared.caller, shared.provider.issue())
    expect(shared.webhook, with_handles(user, text), "handle_malformed")


def test_reason_handle_altered(shared):
    user = login(shared.caller, shared.provider.issue())
    other = login(shared.caller, shared.provider.issue())
    given = handle_of(user).split(".")
    later = given[:1] + [str(int(given[1]) + 1)] + given[2:]
    of_another_token = given[:2] + [handle_of(other).split(".")[2]] + given[3:]
    forged = handle.sign(handle.fact_key(handle_of(user)), user["username"], user["uid"], line="x" * 32).split(".")
    for parts in (later, of_another_token, forged):
        expect(shared.webhook, with_handles(user, ".".join(parts)), "handle_altered")


def test_reason_handle_other_user(shared):
    user = login(shared.caller, shared.provider.issue(preferred_username="mallory"))
    expect(shared.webhook, {**user, "username": "corp:alice"}, "handle_other_user")
    forged = handle.sign(handle.fact_key(handle_of(user)), "corp:alice", user["uid"])
    expect(shared.webhook, with_handles({**user, "username": "corp:alice"}, forged), "handle_other_user")


def test_reason_handle_other_uid(shared):
    user = login(shared.caller, shared.provider.issue())
    expect(shared.webhook, {**user, "uid": "u-2"}, "handle_other_uid")
    expect(shared.webhook, {**user, "uid": ""}, "handle_other_uid")


def test_reason_handle_other_cluster(shared):
    user = login(shared.caller, shared.provider.issue())
    given = handle.sign(handle.fact_key(handle_of(user)), user["username"], user["uid"], cluster="test-2")
    expect(shared.webhook, with_handles(user, given), "handle_other_cluster")


def test_reasons_handle_too_old_and_from_future(shared):
    user = login(shared.caller, shared.provider.issue())

    def issued(seconds):
        key = handle.fact_key(handle_of(user))
        return with_handles(user, handle.sign(key, user["username"], user["uid"], at=time.time() + seconds))

    expect(shared.webhook, issued(-185), "handle_too_old")
    expect(shared.webhook, issued(-170), "ok")
    expect(shared.webhook, issued(50), "ok")
    expect(shared.webhook, issued(70), "handle_from_future")


def test_reasons_passed_without_fact_and_fact_unknown(provider, start):
    webhook = start(provider, changes=CHANGES)
    user = login(webhook.caller(), provider.issue())
    unknown = with_handles(user, handle.sign(bytes(32), user["username"], user["uid"]))
    record = expect(webhook, unknown, "passed_without_fact")
    assert record["credential"] == "00" * 16 and record["cache"] == "miss"
    webhook.reload(changes={"handle": {"unknownFact": "Refuse"}})
    expect(webhook, unknown, "fact_unknown")
    expect(webhook, user, "ok")


@pytest.mark.parametrize("word, then", [("inactive", reply.inactive()), ("audience_mismatch", reply.active(aud="vault")),
                                        ("unsupported_token_type", reply.error(400, "unsupported_token_type")),
                                        ("handle_other_user", reply.active(preferred_username="bob")),
                                        ("expired", reply.active(exp=int(time.time()) - 10))])
def test_reasons_of_a_token_that_is_no_longer_good(provider, start, word, then):
    """A rule or a provider that would refuse a login refuses the requests after it."""
    webhook = start(provider, changes=NOW)
    token = provider.issue()
    user = login(webhook.caller(), token)
    expect(webhook, user, "ok")
    provider.knows(token, then)
    record = expect(webhook, user, word)
    assert record["credential"] == user["extra"][handle.CREDENTIAL][0]
    assert record["providerMicroseconds"] > 0 and record["cache"] == "stale"


@pytest.mark.parametrize("word, then, timeout", [
    ("provider_error", reply.error(500), "3s"), ("provider_throttled", reply.error(429), "3s"),
    ("client_credentials_rejected", reply.error(401, "invalid_client"), "3s"),
    ("provider_reply_invalid", reply.json({"active": "true"}), "3s"), ("deadline_exceeded", reply.silence(), "300ms")])
def test_reasons_of_a_provider_that_cannot_say(provider, start, word, then, timeout):
    webhook = start(provider, SHORT, NOW)
    token = provider.issue()
    user = login(webhook.caller(), token)
    provider.knows(token, then)
    wait_past_ttl(webhook, user)
    expect(webhook, user, word, timeout=timeout)


def wait_past_ttl(webhook, user):
    caller = webhook.caller()
    wait.until(lambda: authorize(caller, user, timeout="300ms").verdict == "unavailable", f"the ttl is over; log {webhook.log}")


def test_reason_audit_unwritable(provider, start):
    webhook = start(provider, changes={**CHANGES, "audit": {"path": "/dev/full"}}, ready=False)
    caller, user = webhook.caller(), {"username": "system:anonymous"}
    answer = wait.until(lambda: next((a for a in [authorize(caller, user)] if a.verdict != "allow"), None),
                        f"nothing passes because the audit log cannot be written; log {webhook.log}")
    told(answer, "audit_unwritable")


def test_reason_stopping(provider, start):
    webhook = start(provider, {"introspection": {"timeout": "20s"}, "cache": {"ttl": "0s"}}, NOW)
    token = provider.issue()
    caller = webhook.caller()
    user = login(caller, token)
    provider.knows(token, reply.silence())
    wait.next_millisecond()
    authorizer.ask(caller, user, timeout="30s")
    provider.wait_for_calls(2, token)
    webhook.stop()
    told(authorizer.answer(caller), "stopping")
    webhook.wait_audit(reason="stopping", kind="SubjectAccessReview")


PROVOKED = {"ok", "not_ours", "handle_off", "handle_absent", "handle_doubled", "handle_malformed", "handle_altered",
            "handle_other_user", "handle_other_uid", "handle_other_cluster", "handle_too_old", "handle_from_future",
            "passed_without_fact", "fact_unknown"}


def test_every_reason_that_is_only_of_requests_after_a_login_is_provoked_here():
    from test_reasons import AFTER_LOGIN
    assert AFTER_LOGIN - PROVOKED == {"passed_without_handle"}, "withoutHandle is admission's to set"


# ---- versions

@pytest.mark.parametrize("version", [V1, V1BETA1])
def test_each_version_is_answered_in_itself(shared, version):
    user = login(shared.caller, shared.provider.issue())
    assert authorize(shared.caller, user, version=version).verdict == "allow"
    assert authorize(shared.caller, with_handles(user), version=version).verdict == "deny"


# ---- keys

def test_every_line_of_the_key_file_verifies_and_the_first_signs(shared):
    user = login(shared.caller, shared.provider.issue())
    key = handle.fact_key(handle_of(user))
    expect(shared.webhook, with_handles(user, handle.sign(key, user["username"], user["uid"], line=handle.OLD_LINE)), "ok")
