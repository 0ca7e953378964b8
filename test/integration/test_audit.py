"""The audit log: a line for each decision, through rotation, a full disk and a folder that vanishes."""

import re
import resource
import shutil
import signal

import pytest

from lib import admission, audit, authorizer, handle, jwt, paths, sentinel, wait
from lib.load import Load


def test_a_record_says_who_was_let_in_why_and_how_long_it_took(provider, start):
    webhook = start(provider)
    _, record = webhook.reason_of(lambda: webhook.caller().review(provider.issue(sub="u-9", groups=["a"])))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["time"])
    assert record["cluster"] == "test-1" and record["issuer"] == "corp" and record["caller"] == "kube-apiserver"
    assert (record["verdict"], record["reason"], record["cache"]) == ("allow", "ok", "miss")
    assert record["user"] == {"username": "corp:alice", "uid": "u-9", "groups": ["corp:a"]}
    assert re.fullmatch(r"[0-9a-f]{32}", record["credential"])
    assert record["requestID"]
    assert 0 < record["providerMicroseconds"] <= record["durationMicroseconds"]
    assert record["generation"] == 1


def test_a_record_of_a_refusal_has_no_user_and_one_from_triage_no_credential(provider, start):
    webhook = start(provider)
    caller = webhook.caller()
    _, record = webhook.reason_of(lambda: caller.review(sentinel.token()))
    assert record["verdict"] == "deny" and "user" not in record and record["credential"]
    _, record = webhook.reason_of(lambda: caller.review(jwt.signed(iss="https://another.example")))
    assert "credential" not in record and "issuer" not in record and "providerMicroseconds" not in record


def test_records_of_one_token_share_a_credential_and_no_two_a_request_id(provider, start):
    webhook = start(provider)
    caller, token = webhook.caller(), provider.issue()
    for each in (token, token, provider.issue()):
        caller.review(each)
    records = webhook.wait_audit(3)
    assert records[0]["credential"] == records[1]["credential"] != records[2]["credential"]
    assert len({record["requestID"] for record in records}) == 3


def test_the_user_carries_the_credential_of_the_record_behind_what_claims_gave(provider, start):
    mapped = {"claimMappings": {"extra": [{"key": "example.com/tenant", "claim": "tenant"}]}}
    webhook = start(provider, mapped)
    caller = webhook.caller()
    for claims, extra in (({}, {}), ({"tenant": "blue"}, {"example.com/tenant": ["blue"]})):
        token = provider.issue(**claims)
        for _ in range(2):  # from the provider, and from the cache
            answer, record = webhook.reason_of(lambda: caller.review(token))
            assert answer.user["extra"] == {**extra, "kube-introspect.io/credential": [record["credential"]]}


def test_the_credential_of_a_token_is_another_one_in_another_process(provider, start):
    token = provider.issue()
    first, second = start(provider), start(provider)
    records = [webhook.reason_of(lambda webhook=webhook: webhook.caller().review(token))[1] for webhook in (first, second)]
    assert records[0]["credential"] != records[1]["credential"], "the digest is not keyed: it can be looked up for a known token"


def test_every_review_has_its_line_in_the_order_of_the_answers(provider, start):
    webhook = start(provider)
    caller = webhook.caller()
    for number in range(200):
        caller.review(provider.issue(preferred_username=f"user-{number}"))
    names = [record["user"]["username"] for record in webhook.wait_audit(200)]
    assert names == [f"corp:user-{number}" for number in range(200)]


def test_all_lines_are_written_before_the_process_ends(provider, start):
    webhook = start(provider)
    caller = webhook.caller()
    for _ in range(50):
        caller.review(provider.issue())
    webhook.stop()
    assert len(webhook.audit_records()) == 50


def test_the_log_can_go_to_standard_output(provider, start):
    webhook = start(provider, changes={"audit": {"path": "-"}})
    webhook.caller().review(provider.issue())
    record, = wait.until(lambda: audit.read(webhook.stdout), f"a record in {webhook.stdout}")
    assert record["verdict"] == "allow"


def test_a_name_that_would_forge_a_line_stays_in_its_own(provider, start):
    webhook = start(provider)
    forged = 'x", "verdict": "allow"} {"a'
    _, record = webhook.reason_of(lambda: webhook.caller().review(provider.issue(preferred_username=forged)))
    assert record["user"]["username"] == "corp:" + forged


def test_every_field_is_documented_and_every_documented_one_is_there(provider, start):
    page = paths.ROOT / "docs" / "audit.md"
    documented = set(re.findall(r"^\| `(\w+)` \|", page.read_text(), re.M))
    webhook = start(provider, changes={"handle": {**handle.HANDLE, "recheckAfter": "0s"}, "listeners": {"admission": admission.LISTENER}})
    user, record = webhook.reason_of(lambda: authorizer.login(webhook.caller(), provider.issue()))
    assert set(record) == documented - {"request", "rules", "because"}, f"{page} and a login's record differ"
    _, record = webhook.reason_of(lambda: authorizer.authorize(webhook.caller(), user))
    assert set(record) == documented - {"rules", "because"}, f"{page} and a record of a request after it differ"
    _, record = webhook.reason_of(lambda: webhook.validator().validate(user))
    assert set(record) == documented - {"because"}, f"{page} and a record of a change differ"


# ---- rotation


def test_a_rotated_log_goes_on_in_a_new_file_after_sighup_and_loses_no_line(provider, start):
    webhook = start(provider)
    caller, old = webhook.caller(), webhook.audit_path.with_name("audit.1")
    caller.review(provider.issue())
    webhook.wait_audit(1)
    webhook.audit_path.rename(old)
    webhook.signal(signal.SIGHUP)
    wait.until(webhook.audit_path.exists, f"a new {webhook.audit_path}; log {webhook.log}")
    caller.review(provider.issue())
    webhook.wait_audit(1)
    assert len(audit.read(old)) == 1


def test_a_rotation_is_noticed_without_a_signal_and_loses_no_line(provider, start):
    webhook = start(provider)
    caller, old = webhook.caller(), webhook.audit_path.with_name("audit.1")
    token = provider.issue()
    caller.review(token)
    webhook.wait_audit(1)
    webhook.audit_path.rename(old)
    n = 1
    while not webhook.audit_path.exists() or not webhook.audit_records():
        assert caller.review(token).verdict == "allow"
        n += 1
        assert n < 100000, f"the rotation was not noticed; log {webhook.log}"
    wait.until(lambda: len(audit.read(old)) + len(webhook.audit_records()) == n, lambda: (
        f"{n} lines in both files (seen: {len(audit.read(old))} + {len(webhook.audit_records())}); log {webhook.log}"))


def test_rotation_under_load_loses_no_line_and_tears_none(provider, start):
    webhook = start(provider)
    olds = []
    with Load(webhook, provider.issue(), n_threads=2) as load:
        for number in range(5):
            load.wait_for(50)
            olds.append(webhook.audit_path.rename(webhook.audit_path.with_name(f"audit.{number}")))
            webhook.signal(signal.SIGHUP)
            wait.until(webhook.audit_path.exists, "a new file")
    load.assert_no_failure()
    webhook.stop()
    assert sum(len(audit.read(path)) for path in [*olds, webhook.audit_path]) == load.n_answers


# ---- a disk that does not take it


def unavailable(caller, provider):
    return caller.review(provider.issue()).verdict == "unavailable"


def test_with_a_full_disk_and_refuse_nobody_logs_in_unrecorded(provider, start):
    webhook = start(provider, changes={"audit": {"path": "/dev/full", "whenUnwritable": "Refuse"}}, ready=False)
    caller = webhook.caller()
    wait.until(lambda: unavailable(caller, provider), f"a login is refused; log {webhook.log}")
    for _ in range(5):
        assert unavailable(caller, provider), "a login went through while the log could not be written"
    webhook.wait_log("audit", "/dev/full")
    assert webhook.metric("kube_introspect_audit_writable") == 0
    assert webhook.metric("kube_introspect_reviews_total", reason="audit_unwritable") >= 6


def test_with_a_full_disk_and_continue_logins_go_on_and_the_log_says_so(provider, start):
    webhook = start(provider, changes={"audit": {"path": "/dev/full", "whenUnwritable": "Continue"}}, ready=False)
    caller = webhook.caller()
    for _ in range(20):
        assert caller.review(provider.issue()).verdict == "allow"
    webhook.wait_log("audit", "/dev/full")
    wait.until(lambda: webhook.metric("kube_introspect_audit_writable") == 0, "the metric shows it")


def test_a_disk_that_has_room_again_takes_the_kept_records_and_logins_go_on(provider, start):
    def begin_at_a_full_disk(folder):
        (folder.path / "audit" / "audit.jsonl").symlink_to("/dev/full")

    webhook = start(provider, prepare=begin_at_a_full_disk, ready=False)
    caller = webhook.caller()
    wait.until(lambda: unavailable(caller, provider), f"a login is refused; log {webhook.log}")
    webhook.audit_path.unlink()
    webhook.signal(signal.SIGHUP)
    wait.until(lambda: not unavailable(caller, provider), f"logins go on; log {webhook.log}")
    records = webhook.wait_audit(2)
    assert records[0]["reason"] == "ok", "the first record, of before the disk was known to be full, was not kept"


def test_files_that_may_not_grow_are_a_full_disk(provider, start):
    """RLIMIT_FSIZE, systemd's LimitFSIZE, for the audit log and for the program's own log. Its signal, SIGXFSZ, would end the process."""
    webhook = start(provider)
    caller = webhook.caller()
    _, most = resource.prlimit(webhook.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(webhook.process.pid, resource.RLIMIT_FSIZE, (100, most))
    wait.until(lambda: unavailable(caller, provider), f"a login is refused; log {webhook.log}")
    webhook.reload()
    resource.prlimit(webhook.process.pid, resource.RLIMIT_FSIZE, (most, most))
    wait.until(lambda: not unavailable(caller, provider), f"logins go on; log {webhook.log}")


def vanish(folder):
    """At once: a folder that is emptied first may get a new log before it goes."""
    shutil.rmtree(folder.rename(folder.with_name("gone")))


def test_a_folder_that_vanishes_refuses_logins_until_it_is_back(provider, start):
    webhook = start(provider)
    caller, folder = webhook.caller(), webhook.audit_path.parent
    assert not unavailable(caller, provider)
    webhook.wait_audit(1)
    vanish(folder)
    wait.until(lambda: unavailable(caller, provider), f"a login is refused; log {webhook.log}")
    webhook.wait_log("audit", str(folder))
    folder.mkdir()
    wait.until(lambda: not unavailable(caller, provider), f"logins go on; log {webhook.log}")
    webhook.wait_audit(1)


def test_a_folder_that_vanishes_does_not_stop_logins_under_continue(provider, start):
    webhook = start(provider, changes={"audit": {"whenUnwritable": "Continue"}})
    caller, folder = webhook.caller(), webhook.audit_path.parent
    vanish(folder)
    token, verdicts = provider.issue(), set()
    wait.until(lambda: verdicts.add(caller.review(token).verdict) or webhook.metric("kube_introspect_audit_writable") == 0,
               f"the log is seen to be gone; log {webhook.log}")
    verdicts.add(caller.review(token).verdict)
    assert verdicts == {"allow"}


def test_a_log_that_cannot_be_opened_at_the_start_stops_the_start(provider, start):
    with pytest.raises(AssertionError, match="did not start"):
        start(provider, changes={"audit": {"path": "no/such/folder/audit.jsonl"}})
