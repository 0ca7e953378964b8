"""POST /validate: whether a token is still good, rules for changes, and what follows from each."""

import json
import pathlib
import re
import signal
import statistics
import time

import pytest

from lib import handle, paths, reasons, reply, wait
from lib.admission import LISTENER, answer_of, binding, body
from lib.authorizer import handle_of, login, with_handles
from lib.connection import Closed, request_bytes
from test_review_files import part

MFA = {"name": "mfa", "match": {"operations": ["CREATE", "CONNECT"], "resources": ["secrets", "pods/exec"]},
       "requireToken": {"amr": ["mfa"]}, "action": "Deny", "message": "sign in again with a second factor"}
FRESH = {"name": "fresh", "match": {"resources": ["secrets"]}, "requireToken": {"maxAge": "15m"}, "action": "Warn",
         "message": "your sign-in is old"}
SEEN = {"name": "seen", "match": {"namespaces": ["prod"]}, "requireToken": {"acr": ["gold"]}, "action": "Audit"}
MAPPED = {"name": "mapped", "match": {"resources": ["*"]}, "subjects": {"groups": "Mapped", "users": "Forbidden"},
          "action": "Deny"}
RULES = [MFA, FRESH, SEEN, MAPPED]
CHANGES = {"listeners": {"admission": LISTENER}, "handle": handle.HANDLE, "admission": {"rules": RULES}}
NOW = {**CHANGES, "handle": {**handle.HANDLE, "recheckAfter": "0s"}}
ISSUER = {"groupMapping": {"unmapped": "Drop", "rules": [{"group": "ops", "to": ["admins"]}]}}
TOTAL = "kube_introspect_admission_reviews_total"
RESULTS = "kube_introspect_admission_rule_results_total"


def expect(webhook, user, word, **more):
    """Asks, and sees that answer, audit log and metrics say this reason; gives answer and record."""
    verdict, sentence = reasons.read()[word]
    before = webhook.metric(TOTAL, verdict=verdict, reason=word) or 0
    answer, record = webhook.reason_of(lambda: webhook.validator().validate(user, **more))
    assert record["reason"] == word, f"expected {word}, got {record}; log {webhook.log}"
    assert answer.verdict == verdict == record["verdict"], answer.review
    assert record["kind"] == "AdmissionReview" and record["user"]["username"] == user["username"]
    assert webhook.metric(TOTAL, verdict=verdict, reason=word) == before + 1
    assert answer.annotations["request"] == record["requestID"] and answer.annotations["reason"] == word
    if verdict != "allow":
        assert record["requestID"] in answer.message and word in answer.message, answer.message
    if verdict == "deny" and word != "admission_rule":
        assert sentence in answer.message
    return answer, record


@pytest.fixture
def alice(shared):
    return login(shared.caller, shared.provider.issue(amr=["pwd", "mfa"], auth_time=int(time.time())))


# ---- the token

def test_a_good_token_passes_and_its_record_says_what_it_did(shared, alice):
    answer, record = expect(shared.webhook, alice, "ok", operation="UPDATE", group="apps", resource="deployments",
                            subresource="scale", name="web", namespace="team-a", dry_run=True)
    assert record["request"] == {"verb": "UPDATE", "group": "apps", "resource": "deployments", "subresource": "scale",
                                 "namespace": "team-a", "name": "web", "dryRun": True}
    assert record["credential"] == alice["extra"][handle.CREDENTIAL][0]
    assert (record["issuer"], record["cache"], record["rules"]) == ("corp", "hit", []) and answer.warnings == []


def test_reasons_of_handles(shared, alice):
    for word, user in (("handle_absent", with_handles(alice)), ("handle_malformed", with_handles(alice, "x")),
                       ("handle_doubled", with_handles(alice, handle_of(alice), handle_of(alice))),
                       ("handle_other_uid", {**alice, "uid": "u-2"}), ("not_ours", {"username": "system:kube-scheduler"})):
        expect(shared.webhook, user, word)


def test_a_token_that_was_revoked_makes_no_more_changes(provider, start):
    webhook = start(provider, changes=NOW)
    token = provider.issue()
    user = login(webhook.caller(), token)
    expect(webhook, user, "ok")
    provider.knows(token, reply.inactive())
    answer, record = expect(webhook, user, "inactive", resource="secrets")
    assert record["rules"] == [], "rules add nothing where the token itself is refused"
    assert answer.review["response"]["status"]["code"] == 403 and "Sign in again" in answer.message


def test_what_cannot_be_checked_is_neither_allowed_nor_forbidden(provider, start):
    webhook = start(provider, {"cache": {"ttl": "0s"}}, NOW)
    token = provider.issue()
    user = login(webhook.caller(), token)
    provider.knows(token, reply.silence())
    answer, _ = expect(webhook, user, "deadline_exceeded", timeout="300ms")
    assert answer.review["response"]["status"]["code"] == 503 and "Try again" in answer.message


def test_while_the_provider_is_away_a_change_that_requires_something_of_its_token_is_refused(provider, start):
    """outage lets people go on; it says nothing of a second factor."""
    webhook = start(provider, {"outage": {"maxStale": "10m", "groups": []}, "cache": {"ttl": "300ms"}}, changes=CHANGES)
    user = login(webhook.caller(), provider.issue(amr=["mfa"]))
    expect(webhook, user, "ok", resource="secrets")
    provider.stop()
    wait.until(lambda: webhook.reason_of(lambda: webhook.validator().validate(user))[1]["reason"] == "degraded", "the answer is degraded")
    _, record = expect(webhook, user, "admission_rule", resource="secrets")
    assert {rule["name"]: rule.get("cause") for rule in record["rules"]}["mfa"] == "token_unknown"


def test_without_handle_may_be_allowed_and_then_requires_what_nobody_knows(provider, start):
    webhook = start(provider, changes={**CHANGES, "admission": {"withoutHandle": "Allow", "rules": RULES}})
    user = {"username": "corp:alice"}
    expect(webhook, user, "passed_without_handle")
    _, record = expect(webhook, user, "admission_rule", resource="secrets")
    causes = {rule["name"]: rule.get("cause") for rule in record["rules"]}
    assert causes == {"mfa": "token_unknown", "fresh": "token_unknown", "mapped": None}


def test_reason_audit_unwritable(provider, start):
    webhook = start(provider, changes={**CHANGES, "audit": {"path": "/dev/full"}}, ready=False)
    caller, user = webhook.validator(), {"username": "system:anonymous"}
    answer = wait.until(lambda: next((a for a in [caller.validate(user)] if a.verdict != "allow"), None),
                        f"nothing passes because the audit log cannot be written; log {webhook.log}")
    assert answer.verdict == "unavailable" and "audit_unwritable" in answer.message


# ---- rules

def test_a_rule_denies_by_its_message_and_all_rules_are_in_the_record(shared):
    user = login(shared.caller, shared.provider.issue(amr=["pwd"], auth_time=int(time.time()) - 3600))
    results = {(rule, result): shared.webhook.metric(RESULTS, rule=rule, result=result)
               for rule in ("mfa", "fresh") for result in ("held", "failed")}
    answer, record = expect(shared.webhook, user, "admission_rule", resource="secrets", namespace="prod")
    status = answer.review["response"]["status"]
    assert (status["code"], status["reason"], status["status"]) == (403, "Forbidden", "Failure")
    assert answer.message.startswith("kube-introspect: sign in again with a second factor (rule mfa): admission_rule, request ")
    assert answer.warnings == ["kube-introspect: your sign-in is old (rule fresh)"]
    assert answer.annotations["rules"] == "mfa=Deny,fresh=Warn,seen=Audit"
    assert record["rules"] == [
        {"name": "mfa", "action": "Deny", "result": "failed", "cause": "amr"},
        {"name": "fresh", "action": "Warn", "result": "failed", "cause": "max_age"},
        {"name": "seen", "action": "Audit", "result": "failed", "cause": "acr"},
        {"name": "mapped", "action": "Deny", "result": "held"}]
    for rule in ("mfa", "fresh"):
        assert shared.webhook.metric(RESULTS, rule=rule, result="failed") == results[rule, "failed"] + 1
        assert shared.webhook.metric(RESULTS, rule=rule, result="held") == results[rule, "held"]


def test_a_rule_that_holds_lets_pass(shared, alice):
    answer, record = expect(shared.webhook, alice, "ok", resource="secrets")
    assert [rule["result"] for rule in record["rules"]] == ["held", "held", "held"] and answer.warnings == []
    expect(shared.webhook, alice, "ok", operation="CONNECT", resource="pods", subresource="exec")


def test_warn_and_audit_let_pass(shared):
    user = login(shared.caller, shared.provider.issue(auth_time=int(time.time()) - 3600))
    answer, _ = expect(shared.webhook, user, "ok", operation="DELETE", resource="secrets", namespace="prod")
    assert answer.warnings == ["kube-introspect: your sign-in is old (rule fresh)"]
    assert answer.annotations["rules"] == "fresh=Warn,seen=Audit"


@pytest.mark.parametrize("subjects, cause", [
    ([("Group", "corp:admins")], None), ([("Group", "corp:ops")], "group"), ([("Group", "system:masters")], "system_masters"),
    ([("Group", "system:authenticated")], "group"), ([("User", "corp:bob")], "user"), ([("User", "other")], None),
    ([("ServiceAccount", "default")], None), ([("Group", "corp:admins"), ("Group", "corp:typo")], "group"),
    ([("Robot", "x")], "unreadable"), ([], None)])
def test_what_a_binding_may_name(shared, alice, subjects, cause):
    _, record = expect(shared.webhook, alice, "admission_rule" if cause else "ok", **binding(*subjects))
    assert record["rules"][0].get("cause") == cause, record


def test_a_binding_may_always_be_deleted(shared, alice):
    expect(shared.webhook, alice, "ok", **{**binding(("User", "corp:bob")), "operation": "DELETE", "obj": None})


def test_rules_change_with_a_reload(provider, start):
    webhook = start(provider, changes=CHANGES)
    user = login(webhook.caller(), provider.issue())
    expect(webhook, user, "admission_rule", resource="secrets")
    webhook.reload(changes={"admission": {"rules": [{**MFA, "action": "Audit"}]}})
    answer, _ = expect(webhook, user, "ok", resource="secrets")
    assert answer.annotations["rules"] == "mfa=Audit"
    webhook.reload(changes={"admission": {"rules": []}})
    answer, _ = expect(webhook, user, "ok", resource="secrets")
    assert "rules" not in answer.annotations


# ---- what comes in

CASES = sorted(paths.ADMISSIONS.glob("*.json"))
RECORDED = sorted(paths.RECORDED_REVIEWS.glob("admissionreview-v1-*.json"))


def test_there_are_at_least_forty_reviews():
    assert len(CASES) >= 90 and len(RECORDED) >= 15


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_review(shared, path):
    case = json.loads(path.read_text())
    data = b"".join(map(part, case["body"]))
    decode = case["expect"]["decode"]
    caller = shared.webhook.validator()
    if decode == "ok":
        answer = caller.validate_bytes(data, case["expect"]["review"]["uid"])
        assert answer.verdict == "deny" or case["expect"]["review"].get("user", "") == "", answer.review
    else:
        response = caller.post(data, "/validate?timeout=5s")
        status = json.loads(response.body)
        assert (response.status, status["kind"], status["code"]) == (400, "Status", 400), response.body[:300]
        assert "alice" not in status["message"]
    caller.close()
    shared.webhook.assert_alive()


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded_review(shared, path):
    """Sent byte for byte as kube-apiserver sent it, its own header fields included."""
    data = path.read_bytes()
    lines = path.with_suffix(".headers").read_text().split("\n\n")[0].splitlines()
    caller = shared.webhook.validator()
    with caller.connect() as opened:
        opened.send("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
        answer = answer_of(opened.response("POST"), json.loads(data)["request"]["uid"])
    # Alice of these is no user of ours, so nothing is known of her token: what requires something of one refuses her.
    refused = path.stem in ("admissionreview-v1-create-secret", "admissionreview-v1-connect-pod-exec")
    assert answer.verdict == ("deny" if refused else "allow"), answer.review


@pytest.mark.parametrize("method, target, content_type, code", [
    ("GET", "/validate", "application/json", 405), ("POST", "/", "application/json", 404),
    ("POST", "/authenticate", "application/json", 404), ("POST", "/authorize", "application/json", 404),
    ("POST", "/validate/", "application/json", 404), ("POST", "/validate", "text/plain", 415)])
def test_what_is_no_review(shared, method, target, content_type, code):
    assert shared.webhook.validator().request(method, target, b"{}", content_type=content_type).status == code
    assert shared.caller.post(b"{}", "/validate").status == 404, "not on the listener for logins"


# Seven objects of 65,000 members each, in no order: what the search for duplicates takes longest over.
HOSTILE = "[" + ("{" + ",".join(f'"{n * 40503 % 65521:x}":{{}}' for n in range(65000)) + "},") * 7


def peak_kib(webhook, act):
    """The most memory that the process has while something is done."""
    proc = pathlib.Path("/proc", str(webhook.process.pid))
    (proc / "clear_refs").write_text("5")  # the peak counts anew from here
    act()
    return int(re.search(r"VmHWM:\s+(\d+)", (proc / "status").read_text())[1])


@pytest.mark.skipif(wait.SLOWNESS != 1, reason="a sanitizer's allocator keeps what was freed")
def test_a_body_of_8_mib_costs_little_beside_itself_and_one_more_byte_is_refused(provider, start):
    webhook = start(provider, changes=CHANGES)
    user = login(webhook.caller(), provider.issue())
    caller = webhook.validator()
    text = body(user, obj={"data": "@"}).decode()
    limit = 8 * 1024 * 1024
    hostile = text.replace('"@"', HOSTILE + '"@"]')
    data = hostile.replace("@", "x" * (limit - len(hostile) + 1)).encode()
    assert len(data) == limit
    plain = text.replace("@", "x" * (limit - len(text) + 1)).encode()
    # The HTTP library's buffers grow as the pieces of a body happen to come, some MiB more or less for the same body. That reading it
    # takes no memory but the loop's 512 kB for names (struct scan_room) is what test/unit/wire/admission_review.c shows.
    peaks = [[peak_kib(webhook, lambda sent=sent: caller.validate_bytes(sent, "uid-1")) for sent in (plain, data)] for _ in range(10)]
    with_plain, with_hostile = (statistics.median(column) for column in zip(*peaks[1:]))
    assert with_hostile - with_plain <= 4096, f"{with_hostile - with_plain} KiB more than a plain body of that size: {peaks}"
    response = caller.post(data + b" ", "/validate")
    assert response.status == 413 and b"8 MiB" in response.body
    assert webhook.validator().validate(user).verdict == "allow"


def test_a_login_does_not_wait_for_a_hostile_body(provider, start):
    webhook = start(provider, changes=CHANGES)
    token = provider.issue()
    user = login(webhook.caller(), token)
    data = body(user, obj={"data": "@"}).decode().replace('"@"', HOSTILE + "0]").encode()
    slow, quick = webhook.validator(), webhook.caller()
    quick.review(token)
    slow.connect().send(request_bytes("POST", "/validate?timeout=5s", data))
    assert quick.review(token).verdict == "allow"
    assert slow.answered().verdict == "allow"


# ---- callers

def test_only_the_named_client_certificate_may_ask(shared, certificates):
    with pytest.raises((Closed, OSError)):
        shared.webhook.validator(certificates.client_of_other_name).validate({"username": "x"})


def test_a_caller_that_vanishes_while_the_provider_is_asked_harms_nobody(provider, start):
    webhook = start(provider, {"introspection": {"timeout": "5s"}}, NOW)
    token = provider.issue()
    user = login(webhook.caller(), token)
    provider.knows(token, reply.silence())
    for _ in range(5):
        caller = webhook.validator()
        caller.ask(user, timeout="2s")
        provider.wait_for_calls(2, token)  # one call for all of them
        caller.connection.vanish()
    webhook.assert_alive()
    other = login(webhook.caller(), provider.issue())
    assert webhook.validator().validate(other).verdict == "allow"


# ---- the loop among others

def test_health_tells_of_the_admission_loop(shared):
    shared.webhook.wait_live()
    status, _, text = shared.webhook.operations("/livez?verbose")
    assert status == 200 and "admission-loop ok" in text


def test_without_the_listener_there_is_no_loop(provider, start):
    webhook = start(provider)
    assert "admission-loop" not in webhook.operations("/livez?verbose")[2]


def test_the_listener_cannot_come_or_go_by_a_reload(provider, start):
    webhook = start(provider)
    webhook.folder.configure(webhook.document(changes={"listeners": {"admission": LISTENER}}))
    webhook.wait_log("listeners.admission", "cannot change while running")
    webhook.assert_alive()


def test_a_reload_replaces_the_certificate_of_the_listener(provider, start, certificates):
    webhook = start(provider, changes=CHANGES)
    caller = webhook.validator()
    assert caller.validate({"username": "x"}).verdict == "allow"
    webhook.reload(changes={"listeners": {"admission": {"tls": {"clientNames": ["somebody-else"]}}}})
    with pytest.raises((Closed, OSError)):
        webhook.validator().validate({"username": "x"})


def test_drain_answers_what_still_comes_and_closes(provider, start):
    def attempt():  # a connection that is idle for two seconds is closed
        webhook = start(provider, changes=CHANGES)
        caller = webhook.validator()
        assert caller.validate({"username": "x"}).verdict == "allow"
        webhook.signal(signal.SIGTERM)
        wait.until(lambda: not webhook.is_ready(), "not ready while stopping")
        answer = caller.validate({"username": "x"})
        assert answer.verdict == "allow" and answer.response.closes
        webhook.wait_stopped()

    wait.undisturbed(attempt)
