"""Every reason of webhook/core/reason.h that can be provoked from outside, as the audit log and the metrics name it."""

import time

import pytest

from lib import jwt, reasons, reply, sentinel, wait

HOUR = 3600


def now():
    return int(time.time())


def issued(**claims):
    return lambda provider: provider.issue(**claims)


def replied(then):
    return lambda provider: provider.knows(sentinel.token(), then)


def text(token):
    return lambda provider: sentinel.remember(token)


class Case:
    """token: a function of the provider; issuer, changes: laid over the configuration; setup: done to provider and webhook."""

    def __init__(self, token, issuer=None, changes=None, asked=None, timeout=None, setup=None):
        self.token, self.issuer, self.changes, self.asked, self.timeout = token, issuer, changes, asked, timeout
        self.setup = setup


def stopped(provider, _):
    provider.stop()


def present_other_certificate(provider, _):
    provider.use_certificate(provider.certificates.provider_of_other_ca)


EXTRA = [{"key": f"example.com/k{n}", "claim": "many"} for n in range(16)]

CASES = {
    "ok": Case(issued()),
    "token_too_long": Case(text(sentinel.TOKEN * 800)),
    "token_malformed": Case(text(sentinel.TOKEN + "\u00e9")),
    "service_account_token": Case(lambda _: jwt.signed(iss="https://kubernetes.default.svc", sub="system:serviceaccount:a:b")),
    "issuer_unknown": Case(lambda _: jwt.signed(iss="https://somewhere.example.com", sub="alice")),
    "no_issuer": Case(issued(), {"tokens": {"opaquePrefix": "corp_"}}),
    "inactive": Case(lambda _: sentinel.token()),
    "unsupported_token_type": Case(replied(reply.error(400, "unsupported_token_type"))),
    "expired": Case(issued(exp=now() - HOUR)),
    "not_yet_valid": Case(issued(nbf=now() + HOUR)),
    "issued_in_future": Case(issued(iat=now() + HOUR)),
    "issuer_mismatch": Case(issued(iss="https://somewhere.example.com")),
    "audience_absent": Case(issued(aud=None)),
    "audience_mismatch": Case(issued(aud=["account", "kubernetes2"])),
    "audience_not_asked": Case(issued(), changes={"apiAudiences": ["https://api.example"]}, asked=["https://other.example"]),
    "token_type_absent": Case(issued(token_type=None), {"introspection": {"absentTokenType": "Refuse"}}),
    "token_type_refused": Case(issued(token_type="Refresh")),
    "token_bound": Case(issued(cnf={"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"})),
    "client_refused": Case(issued(client_id="another"), {"tokens": {"clientIDs": ["kubectl"]}}),
    "subject_absent": Case(issued(sub=None)),
    "claim_rule": Case(issued(token_use="id"), {"claimValidationRules": [{"claim": "token_use", "requiredValue": "access"}]}),
    "username_absent": Case(issued(preferred_username=None)),
    "username_invalid": Case(issued(preferred_username="a\u0007b")),
    "username_reserved": Case(issued(preferred_username="system:admin"), {"claimMappings": {"username": {"prefix": ""}}}),
    "uid_invalid": Case(issued(employee=""), {"claimMappings": {"uid": {"claim": "employee"}}}),
    "groups_absent": Case(issued(groups=None)),
    "groups_overage": Case(issued(groups=[f"g{n}" for n in range(513)])),
    "group_invalid": Case(issued(groups=["developers", ""])),
    "group_reserved": Case(issued(groups=["system:masters"]), {"claimMappings": {"groups": {"prefix": ""}}}),
    "extra_invalid": Case(issued(tenant=["x"] * 33), {"claimMappings": {"extra": [{"key": "example.com/tenant", "claim": "tenant"}]}}),
    "user_rule": Case(issued(), {"userValidationRules": [{"username": {"notPrefix": "corp:ali"}}]}),
    "identity_too_large": Case(issued(many=["x" * 1024] * 32), {"claimMappings": {"extra": EXTRA}}),
    "claim_type_invalid": Case(issued(groups={"a": "b"})),
    "provider_unreachable": Case(issued(), setup=stopped),
    "provider_timeout": Case(replied(reply.silence()), {"introspection": {"timeout": "200ms"}}),
    "provider_tls": Case(issued(), setup=present_other_certificate),
    "provider_error": Case(replied(reply.error(500))),
    "provider_throttled": Case(replied(reply.error(429, headers=[("Retry-After", "3600")]))),
    "provider_reply_invalid": Case(replied(reply.json({"active": "true"}))),
    "provider_reply_too_large": Case(replied(reply.plain(200, b'{"active": false}' + b" " * (128 * 1024)))),
    "provider_misconfigured": Case(replied(reply.error(404, "not_found"))),
    "client_credentials_rejected": Case(replied(reply.error(401, "invalid_client"))),
    "discovery_failed": Case(issued()),
    "deadline_exceeded": Case(replied(reply.silence()), timeout="200ms"),
    "audit_unwritable": Case(issued(), changes={"audit": {"path": "/dev/full"}}),
    "stopping": Case(replied(reply.silence()), {"introspection": {"timeout": "20s"}}, timeout="30s"),
}

# Nobody outside can bring these about: the unit tests of their modules do.
BY_UNIT_TESTS = {"overloaded", "internal"}
# Of requests that come after a login, which no TokenReview is: test_authorize.py provokes each.
AFTER_LOGIN = {
    "not_ours", "handle_off", "passed_without_handle", "passed_without_fact", "fact_unknown", "handle_absent", "handle_doubled",
    "handle_malformed", "handle_altered", "handle_other_user", "handle_other_uid", "handle_other_cluster", "handle_too_old",
    "handle_from_future",
}
# Of a provider that has failed or was asked much for a while, in the tests of that.
AFTER_FAILURES = {"breaker_open", "over_budget", "degraded"}
# Of a change: test_validate.py provokes it.
OF_A_CHANGE = {"admission_rule"}
# Here, but in tests of their own below.
APART = {"audit_unwritable", "stopping", "discovery_failed"}


def test_every_reason_of_the_header_is_provoked_here_or_listed_as_a_unit_tests():
    assert set(CASES) | BY_UNIT_TESTS | AFTER_LOGIN | AFTER_FAILURES | OF_A_CHANGE == set(reasons.read()), "reason.h and this table differ"
    assert not set(CASES) & (BY_UNIT_TESTS | AFTER_LOGIN | AFTER_FAILURES | OF_A_CHANGE)


def assert_told(answer, word):
    """The answer's form and text are those of the reason."""
    verdict, sentence = reasons.read()[word]
    assert answer.verdict == verdict, f"expected {verdict} for {word}, got {answer.review}"
    if verdict == "unavailable":
        assert answer.error == sentence


@pytest.mark.parametrize("word", sorted(set(CASES) - APART))
def test_reason(provider, start, word):
    case = CASES[word]
    webhook = start(provider, case.issuer, case.changes)
    token = case.token(provider)
    if case.setup:
        case.setup(provider, webhook)
    answer, record = webhook.reason_of(lambda: webhook.caller().review(token, case.asked, timeout=case.timeout))
    assert record["reason"] == word, f"expected {word}, got {record}; log {webhook.log}"
    assert_told(answer, word)
    assert record["verdict"] == answer.verdict
    assert webhook.metric("kube_introspect_reviews_total", verdict=answer.verdict, reason=word) == 1


def test_reason_audit_unwritable(provider, start):
    webhook = start(provider, changes=CASES["audit_unwritable"].changes, ready=False)
    caller = webhook.caller()
    caller.review(provider.issue())  # the first finds out
    answer = wait.until(lambda: next((a for a in [caller.review(provider.issue())] if a.verdict == "unavailable"), None),
                        f"a review is unavailable because the audit log cannot be written; log {webhook.log}")
    assert_told(answer, "audit_unwritable")


def test_reason_discovery_failed(provider, start):
    provider.discovery = reply.error(500)
    webhook = start(provider, discovery=True, ready=False)
    answer, record = webhook.reason_of(lambda: webhook.caller().review(provider.issue()))
    assert record["reason"] == "discovery_failed"
    assert_told(answer, "discovery_failed")


def test_reason_stopping(provider, start):
    case = CASES["stopping"]
    webhook = start(provider, case.issuer)
    caller, token = webhook.caller(), case.token(provider)
    caller.ask(token, timeout=case.timeout)
    provider.wait_for_calls(1, token)
    webhook.stop()
    assert_told(caller.answer(), "stopping")
    webhook.wait_audit(reason="stopping")
