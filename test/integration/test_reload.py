"""A changed configuration is taken over whole or not at all, and nobody who asks meanwhile notices."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lib import configuration, reply, wait
from lib.load import Load
from lib.webhook import RELOADED


def with_prefix(webhook, prefix):
    return [configuration.merged(webhook.issuers[0], {"claimMappings": {"username": {"prefix": prefix}}})]


def name_of(caller, token):
    answer = caller.review(token)
    return answer.user["username"] if answer.user else None


def test_sighup_takes_a_changed_configuration_over(provider, start):
    webhook = start(provider)
    caller, token = webhook.caller(), provider.issue()
    assert name_of(caller, token) == "corp:alice"
    webhook.reload(with_prefix(webhook, "new:"))
    wait.until(lambda: name_of(caller, token) == "new:alice", f"the new prefix is in force; log {webhook.log}")
    assert webhook.metric(RELOADED) == 1
    webhook.wait_log("reload", "generation 2")
    # The file's change may have been seen before the signal, which then makes a third.
    wait.until(lambda: any(record["generation"] >= 2 for record in webhook.audit_records()), "a record of the new generation")


class Starved:
    """The thread of that name gets a small part of one processor, and waits for it whenever it wakes up."""

    def __init__(self, process, name):
        self.cpu = min(os.sched_getaffinity(0))
        tasks = Path(f"/proc/{process.pid}/task")
        number, = (int(task.name) for task in tasks.iterdir() if (task / "comm").read_text().strip() == name)
        os.setpriority(os.PRIO_PROCESS, number, 19)
        os.sched_setaffinity(number, {self.cpu})

    def __enter__(self):
        busy = f"import os; os.sched_setaffinity(0, {{{self.cpu}}}); os.nice(5)\nwhile True: pass"
        self.busy = subprocess.Popen([sys.executable, "-c", busy])

    def __exit__(self, *_):
        self.busy.kill()
        self.busy.wait()


def test_a_configuration_that_is_said_to_be_in_use_decides_whatever_comes_then(provider, start):
    """The model test found an answer by the one before."""
    webhook = start(provider, changes={"threads": 1})
    caller, token = webhook.caller(), provider.issue()
    prefixes, n_looked_at = [f"new{n}:" for n in range(25)], 0
    with Starved(webhook.process, "authentication"):
        for prefix in prefixes:
            caller.connect()
            began = time.monotonic()
            webhook.reload(with_prefix(webhook, prefix))
            if time.monotonic() - began < 2:  # no longer is waited for a loop that does not turn
                assert name_of(caller, token) == f"{prefix}alice"
                n_looked_at += 1
    assert n_looked_at > 0, "no reload was in time to be looked at"


def test_a_changed_file_is_noticed_without_a_signal(provider, start):
    webhook = start(provider)
    caller, token = webhook.caller(), provider.issue()
    webhook.folder.configure(webhook.document(with_prefix(webhook, "new:")))
    wait.until(lambda: name_of(caller, token) == "new:alice", f"the new prefix is in force; log {webhook.log}")


def test_a_changed_mapping_keeps_the_facts_and_asks_no_provider(provider, start):
    webhook = start(provider)
    caller = webhook.caller()
    tokens = [provider.issue() for _ in range(20)]
    for token in tokens:
        caller.review(token)
    n = provider.n_calls()
    webhook.reload(with_prefix(webhook, "new:"))
    wait.until(lambda: name_of(caller, tokens[0]) == "new:alice", "the new prefix is in force")
    assert {name_of(caller, token) for token in tokens} == {"new:alice"}
    assert provider.n_calls() == n, "a changed mapping stormed the provider"


def test_a_changed_client_forgets_what_was_said_to_the_old_one(provider, start):
    webhook = start(provider)
    caller, token = webhook.caller(), provider.issue()
    assert caller.review(token).verdict == "allow"
    provider.client_id = "another"
    webhook.reload([configuration.merged(webhook.issuers[0], {"introspection": {"client": {"id": "another"}}})])
    wait.until(lambda: caller.review(token).verdict == "allow" and provider.n_calls(token) == 2,
               "the provider is asked again, by the new client")


BAD = {
    "no YAML": lambda webhook: "a: [",
    "empty": lambda webhook: "",
    "an unknown field": lambda webhook: webhook.document(changes={"surprise": 1}),
    "no audience": lambda webhook: webhook.document([configuration.merged(webhook.issuers[0], {"issuer": {"audiences": []}})]),
    "a missing secret": lambda webhook: webhook.document(
        [configuration.merged(webhook.issuers[0], {"introspection": {"client": {"secretFile": "secrets/none"}}})]),
    "a certificate that is none": lambda webhook: webhook.document(
        changes={"listeners": {"authentication": {"tls": {"certFile": "config.yaml"}}}}),
    "another address": lambda webhook: webhook.document(changes={"listeners": {"authentication": {"address": "127.0.0.1:1"}}}),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_reload_keeps_the_old_configuration_and_says_why(provider, start, kind):
    webhook = start(provider)
    caller, token = webhook.caller(), provider.issue()
    assert caller.review(token).verdict == "allow"
    webhook.folder.configure(BAD[kind](webhook))
    webhook.signal(signal.SIGHUP)
    wait.until(lambda: webhook.metric(RELOADED) == 0, f"the metric says that the reload failed; log {webhook.log}")
    webhook.wait_log("config.yaml", "stays in use")
    assert name_of(caller, token) == "corp:alice" and webhook.is_ready()
    assert name_of(webhook.caller(), provider.issue()) == "corp:alice"
    good = with_prefix(webhook, "new:")
    webhook.folder.configure(webhook.document(good))
    wait.until(lambda: webhook.metric(RELOADED) == 1, f"a good configuration is taken over afterwards; log {webhook.log}")
    wait.until(lambda: name_of(caller, token) == "new:alice", "the new prefix is in force")


def test_a_bad_reload_names_the_place_in_the_file(provider, start):
    webhook = start(provider)
    text = configuration.text(webhook.document()) + "surprise: 1\n"
    webhook.folder.configure(text)
    line = webhook.wait_log("stays in use")
    assert f"config.yaml:{text.count(chr(10))}:1" in line and "surprise" in line, line


@pytest.mark.parametrize("name", ["tls/tls.crt", "tls/tls.key", "tls/client-ca.crt", "tls/provider-ca.crt", "secrets/client-secret"])
def test_a_file_that_is_broken_or_gone_keeps_what_was_read_before(provider, start, name):
    webhook = start(provider, {"cache": {"ttl": "0s"}})
    token = provider.issue()
    good = (webhook.folder.path / name).read_text()
    webhook.folder.write(name, "")
    webhook.wait_log("stays in use", name)
    assert webhook.caller().review(token).verdict == "allow"
    (webhook.folder.path / name).unlink()
    webhook.signal(signal.SIGHUP)
    assert webhook.caller().review(token).verdict == "allow"
    webhook.folder.write(name, good)
    wait.until(lambda: webhook.metric(RELOADED) == 1, f"the file that is back is read; log {webhook.log}")
    assert webhook.caller().review(token).verdict == "allow"


def test_twenty_reloads_under_load_fail_no_request(provider, start):
    webhook = start(provider)
    with Load(webhook, provider.issue(), reconnect_every=10) as load:
        for number in range(20):
            webhook.reload(with_prefix(webhook, f"p{number}:"))
        load.wait_for(50)
    load.assert_no_failure()


def test_a_reload_does_not_touch_a_review_that_waits(provider, start):
    webhook = start(provider)
    caller, token = webhook.caller(), provider.issue()
    with provider.holding(token) as go:
        caller.ask(token)
        provider.wait_for_calls(1, token)
        webhook.reload(with_prefix(webhook, "new:"))
        go.set()
        assert caller.answer().user["username"] in ("corp:alice", "new:alice")


def test_of_two_answers_about_a_token_the_later_question_counts(provider, start):
    """A reload asks anew, beside the question that is under way: that one may be answered last, and by what was true before."""
    webhook = start(provider, {"introspection": {"timeout": "20s"}})
    first, second, token = webhook.caller(), webhook.caller(), provider.issue()
    with provider.holding(token):
        first.ask(token, timeout="30s")
        provider.wait_for_calls(1, token)
        webhook.reload(with_prefix(webhook, "new:"))
        provider.knows(token, reply.inactive())
        wait.until(lambda: second.review(token, timeout="10s").verdict == "deny", "the revocation is known")
        assert provider.n_calls(token) == 2
    assert first.answer().verdict == "deny", "a yes from before the revocation, after it was known"


def test_an_issuer_can_be_added_and_removed(provider, providers, start):
    webhook = start(provider, {"tokens": {"opaquePrefix": "one_"}})
    other = providers()
    caller, token = webhook.caller(), other.issue("two_")
    assert caller.review(token).verdict == "deny"
    webhook.reload([webhook.issuers[0], configuration.issuer(other, {"tokens": {"opaquePrefix": "two_"}}, name="other")])
    wait.until(lambda: caller.review(token).verdict == "allow", "the second issuer's token is allowed")
    webhook.reload([webhook.issuers[0]])
    wait.until(lambda: caller.review(token).verdict == "deny", "the token of an issuer that is gone is refused, remembered or not")


def test_the_log_level_can_be_changed(provider, start):
    webhook = start(provider)
    webhook.reload(changes={"log": {"level": "error", "format": "text"}})
    at = len(webhook.log_text())
    webhook.folder.configure("a: [")
    webhook.signal(signal.SIGHUP)
    line = webhook.wait_log("stays in use", start=at)
    assert not line.startswith("{"), "the format is still JSON"
