"""POST /authorize over time: when the provider is asked, by whom, and what goes on while it cannot be."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib import authorizer, handle, reply, sentinel, wait
from lib.authorizer import authorize, handle_of, login, with_handles
from lib.load import Load

CHANGES = {"handle": handle.HANDLE}


def rechecking(after):
    return {"handle": {**handle.HANDLE, "recheckAfter": after}}


# ---- recheckAfter

def test_within_recheck_after_nobody_is_asked(provider, start):
    webhook = start(provider, changes=CHANGES)
    token = provider.issue()
    caller = webhook.caller()
    user = login(caller, token)
    for _ in range(50):
        assert authorize(caller, user).verdict == "allow"
    assert provider.n_calls(token) == 1


def test_a_revoked_token_is_refused_after_recheck_after_and_not_before_it(provider, start):
    webhook = start(provider, changes=rechecking(f"{wait.STALL + 1:g}s"))
    token = provider.issue()
    caller = webhook.caller()
    user = login(caller, token)
    provider.knows(token, reply.inactive())
    verdicts = []

    def is_refused():
        verdicts.append(authorize(caller, user).verdict)
        return verdicts[-1] == "deny"

    wait.until(is_refused, f"the revoked token is refused; log {webhook.log}")
    assert set(verdicts) == {"allow", "deny"}, "it was allowed until the fact was too old, and never anything else"
    assert provider.n_calls(token) == 2
    # The login hears of it as well, at once: it is the same fact.
    assert caller.review(token).verdict == "deny"
    assert provider.n_calls(token) == 2, "a refusal is asked about again only after negativeTTL"


def test_a_token_that_stays_good_is_asked_about_once_per_recheck_after(provider, start):
    webhook = start(provider, changes=rechecking("200ms"))
    token = provider.issue()
    caller = webhook.caller()
    user = login(caller, token)
    wait.until(lambda: authorize(caller, user).verdict != "allow" or provider.n_calls(token) >= 4,
               "the provider has been asked four times")
    records = webhook.wait_audit(kind="SubjectAccessReview")
    assert {record["verdict"] for record in records} == {"allow"}
    wait.until(lambda: [r["cache"] for r in webhook.audit_records()].count("stale") == 3, "three records say stale")


def test_a_user_who_was_refused_and_is_enabled_again_comes_back_after_negative_ttl(provider, start):
    webhook = start(provider, {"cache": {"negativeTTL": "200ms"}}, rechecking("0s"))
    token = provider.issue()
    caller = webhook.caller()
    user = login(caller, token)
    good = provider.tokens[token]
    provider.knows(token, reply.inactive())
    wait.until(lambda: authorize(caller, user).verdict == "deny", "the token is refused")
    provider.knows(token, good)
    wait.until(lambda: authorize(caller, user).verdict == "allow", "the token is good again")


# ---- the provider is down

def test_a_provider_that_is_down_refuses_nobody_until_the_ttl_ends(provider, start):
    webhook = start(provider, {"cache": {"ttl": f"{wait.STALL + 1:g}s"}}, rechecking("0s"))
    caller = webhook.caller()
    user = login(caller, provider.issue())
    provider.stop()
    assert authorize(caller, user).verdict == "allow", "what was said last holds"
    record = webhook.wait_audit(kind="SubjectAccessReview")[0]
    assert (record["reason"], record["cache"]) == ("ok", "stale")
    answers = []

    def is_over():
        answers.append(authorize(caller, user))
        return answers[-1].verdict != "allow"

    wait.until(is_over, f"what was said last is over; log {webhook.log}")
    assert answers[-1].verdict == "unavailable" and "denied" in answers[-1].status
    provider.start()
    wait.until(lambda: authorize(caller, user).verdict == "allow", "the provider is back and says that the token is good")


def test_what_a_provider_revoked_stays_refused_while_it_is_down(provider, start):
    webhook = start(provider, changes=rechecking("0s"))
    token = provider.issue()
    caller = webhook.caller()
    user = login(caller, token)
    provider.knows(token, reply.inactive())
    wait.until(lambda: authorize(caller, user).verdict == "deny", "the token is refused")
    provider.stop()
    for _ in range(10):
        assert authorize(caller, user).verdict == "deny"


def test_garbage_tokens_never_make_a_revocation_unknown(provider, start):
    """Whoever holds the revoked token may send any number of others that nobody knows."""
    webhook = start(provider, changes={**rechecking("0s"), "cache": {"maxEntries": 100, "maxNegativeEntries": 10}})
    token = provider.issue()
    caller = webhook.caller()
    user = login(caller, token)
    provider.knows(token, reply.inactive())
    wait.until(lambda: authorize(caller, user).verdict == "deny", "the token is refused")
    for _ in range(200):
        assert caller.review(sentinel.token()).verdict == "deny"
    assert authorize(caller, user).verdict == "deny"


# ---- one flight

def test_one_call_serves_logins_and_requests_of_the_same_token(provider, start):
    """Twenty who ask when the provider's word is old. Whoever comes late finds the new one."""
    seconds = wait.STALL
    webhook = start(provider, {"cache": {"ttl": f"{seconds:g}s", "refreshAhead": "0s"}}, rechecking(f"{seconds:g}s"))
    token = provider.issue()
    callers = [webhook.caller() for _ in range(20)]
    user = [login(caller, token) for caller in callers][0]
    n_calls, begun = provider.n_calls(token), time.monotonic()
    wait.past(begun, seconds, "what the provider said is old")
    with provider.holding(token) as go, ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(*((authorize, caller, user) if n % 2 else (caller.review, token))) for n, caller in enumerate(callers)]
        provider.wait_for_calls(n_calls + 1, token)
        assert not any(each.done() for each in asked)
        go.set()
        assert {each.result().verdict for each in asked} == {"allow"}
    assert provider.n_calls(token) == n_calls + 1


# ---- the caller's time, and callers that go

def test_the_callers_timeout_ends_the_waiting(provider, start):
    webhook = start(provider, {"cache": {"ttl": "0s"}}, rechecking("0s"))
    token = provider.issue()
    caller = webhook.caller()
    user = login(caller, token)
    wait.next_millisecond()
    provider.knows(token, reply.silence())
    answer = authorize(caller, user, timeout="200ms")
    assert answer.verdict == "unavailable" and "deadline_exceeded" in answer.reason
    record = webhook.wait_audit(reason="deadline_exceeded")[0]
    assert 100_000 <= record["durationMicroseconds"] <= 1_000_000 * (0.2 + wait.STALL)


@pytest.mark.parametrize("way", ["vanish", "close", "half_close"])
def test_a_caller_that_goes_while_the_provider_is_asked(provider, start, way):
    webhook = start(provider, {"cache": {"ttl": "0s"}}, rechecking("0s"))
    token = provider.issue()
    caller = webhook.caller()
    user = login(caller, token)
    wait.next_millisecond()
    with provider.holding(token) as go:
        leaving = [webhook.caller() for _ in range(10)]
        for each in leaving:
            authorizer.ask(each, user)
        provider.wait_for_calls(2, token)
        for each in leaving:
            getattr(each.connection, way)()
        go.set()
    wait.until(lambda: webhook.metric("kube_introspect_connections") <= 2, "the connections of those who went are closed")
    webhook.assert_alive()
    assert authorize(caller, user).verdict == "allow"
    for each in leaving:
        each.close()


# ---- restarts, replicas, keys

def test_after_a_restart_a_handle_finds_its_token_once_somebody_logs_in_with_it(provider, start):
    webhook = start(provider, changes={"handle": {**handle.HANDLE, "unknownFact": "Refuse"}})
    token = provider.issue()
    user = login(webhook.caller(), token)
    webhook.stop()
    webhook.restart()
    caller = webhook.caller()
    assert authorize(caller, user).verdict == "deny", "nobody remembers that token"
    assert handle.fact_key(handle_of(login(caller, token))) == handle.fact_key(handle_of(user))
    assert authorize(caller, user).verdict == "allow"


def test_another_replica_verifies_the_handle_and_refuses_what_it_knows_to_be_revoked(provider, start):
    one, other = (start(provider, changes=rechecking("0s")) for _ in range(2))
    token = provider.issue()
    user = login(one.caller(), token)
    assert authorize(other.caller(), user).verdict == "allow"
    assert other.wait_audit(kind="SubjectAccessReview")[0]["reason"] == "passed_without_fact"
    login(other.caller(), token)
    assert authorize(other.caller(), user).verdict == "allow"
    provider.knows(token, reply.inactive())
    for webhook in (one, other):
        wait.until(lambda: authorize(webhook.caller(), user).verdict == "deny", "both refuse it")


def test_another_cluster_with_the_same_keys_refuses_the_handle(provider, start):
    one, other = start(provider, changes=CHANGES), start(provider, changes={**CHANGES, "cluster": "test-2"})
    user = login(one.caller(), provider.issue())
    answer = authorize(other.caller(), user)
    assert answer.verdict == "deny" and "handle_other_cluster" in answer.reason


class Requests(Load):
    """Requests of one user after another, each of whom logs in first."""

    def __init__(self, webhook, user, **more):
        super().__init__(webhook, None, **more)
        self.user = user

    def _run(self):
        caller = self.webhook.caller()
        while not self.stopping.is_set():
            try:
                verdict = authorize(caller, self.user()).verdict
                outcome = None if verdict == self.expected else f"verdict {verdict}"
            except Exception as error:  # whatever it is, it is a failed request
                outcome = f"{type(error).__name__}: {error}"
            with self.lock:
                self.n_answers += 1
                if outcome:
                    self.failures[outcome] += 1


def test_the_handle_key_is_renewed_under_load(provider, start):
    """In the three steps of docs/configuration.md; users go on with the handles that they have."""
    renewed = sentinel.secret("handle-renewed")
    webhook = start(provider, changes=CHANGES)
    token = provider.issue()
    users = [login(webhook.caller(), token)]
    with Requests(webhook, lambda: users[-1]) as requests, Load(webhook, token, n_threads=2) as logins:
        for lines in ([handle.LINE, renewed], [renewed, handle.LINE], [renewed]):
            requests.wait_for(100)
            n = webhook.generation()
            webhook.folder.write("secrets/handle-key", "\n".join(lines) + "\n")
            webhook.wait_generation(n + 1)
            if lines[0] == renewed and len(lines) == 2:
                # The metric turns when the loops have been told, and each hears of it before its next request.
                signs = lambda: handle_of(login(webhook.caller(), token)) != handle_of(users[0])
                wait.until(signs, "the new key signs")
                users.append(login(webhook.caller(), token))
                requests.wait_for(20)
        requests.wait_for(100)
        logins.wait_for(100)
    requests.assert_no_failure()
    logins.assert_no_failure()
    given = handle_of(users[-1])
    assert given == handle.sign(handle.fact_key(given), "corp:alice", "u-1", line=renewed, at=given.split(".")[1])
    answer = authorize(webhook.caller(), users[0])
    assert answer.verdict == "deny" and "handle_altered" in answer.reason, "nobody holds the key that signed it"


def test_handles_are_turned_on_and_off_under_load(provider, start):
    webhook = start(provider)
    token = provider.issue()
    with Load(webhook, token) as load:
        for changes in (CHANGES, {}, CHANGES):
            load.wait_for(50)
            webhook.changes = changes
            webhook.reload()
        load.wait_for(50)
    load.assert_no_failure()
    user = login(webhook.caller(), token)
    assert authorize(webhook.caller(), user).verdict == "allow"


def test_a_key_file_that_is_bad_leaves_the_old_one_in_use(provider, start):
    webhook = start(provider, changes=CHANGES)
    user = login(webhook.caller(), provider.issue())
    webhook.folder.write("secrets/handle-key", "short\n")
    line = webhook.wait_log("handle.keyFile", "a key has 32 characters at least")
    assert "stays in use" in line and "short" not in line
    assert authorize(webhook.caller(), user).verdict == "allow"


def test_threads_share_keys_and_facts(provider, start):
    webhook = start(provider, changes={**CHANGES, "threads": 4})
    user = login(webhook.caller(), provider.issue())
    callers = [webhook.caller() for _ in range(8)]
    failed = threading.Event()

    def ask(caller):
        for _ in range(20):
            if authorize(caller, user).verdict != "allow":
                failed.set()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, callers))
    assert not failed.is_set()


def test_a_mapping_that_changed_since_the_login_refuses_its_handle(provider, start):
    webhook = start(provider, changes=CHANGES)
    user = login(webhook.caller(), provider.issue())
    webhook.issuers[0]["claimMappings"]["username"]["claim"] = "sub"
    webhook.reload()
    answer = authorize(webhook.caller(), user)
    assert answer.verdict == "deny" and "handle_other_user" in answer.reason


def test_a_moved_handle_is_refused_whoever_moves_it(provider, start):
    webhook = start(provider, changes=CHANGES)
    caller = webhook.caller()
    alice = login(caller, provider.issue(sub="u-1"))
    bob = login(caller, provider.issue(sub="u-2", preferred_username="bob"))
    assert authorize(caller, with_handles(bob, handle_of(alice))).verdict == "deny"
    assert authorize(caller, with_handles({"username": "system:admin", "extra": {}}, handle_of(alice))).verdict == "deny"
    assert authorize(caller, with_handles(bob, handle_of(bob), handle_of(alice))).verdict == "deny"
    assert authorize(caller, bob).verdict == "allow"
