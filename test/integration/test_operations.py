"""/livez, /readyz and /metrics: what an admin, a kubelet and Prometheus see."""

import ctypes
import json
import os
import re
import socket
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from lib import paths, reasons, reply, sentinel, wait
from lib.webhook import GENERATION, RELOADED


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_a_healthy_process_says_ok(shared, path):
    shared.webhook.wait_live()
    status, headers, text = shared.webhook.operations(path)
    assert (status, text) == (200, "ok") and headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_verbose_lists_each_check(shared, path):
    shared.webhook.wait_live()
    status, _, text = shared.webhook.operations(path + "?verbose")
    assert status == 200
    lines = text.splitlines()
    assert lines[-1] == f"{path[1:]} check passed"
    assert len(lines) > 2 and all(line.startswith("[+]") for line in lines[:-1]), text


def test_readyz_names_the_issuer_and_the_audit_log(shared):
    text = shared.webhook.operations("/readyz?verbose")[2]
    assert "[+]corp" in text and "[+]audit-log" in text


def test_readyz_shows_a_discovery_that_fails_without_failing(provider, start):
    provider.discovery = reply.error(500)
    webhook = start(provider, discovery=True, ready=False)
    def shown():
        return webhook.operations("/readyz?verbose")[2]

    wait.until(lambda: "[-]corp" in (text := shown()) and "fails" in text, lambda: f"the failing discovery is shown: {shown()}")


def test_other_paths_and_methods_get_a_status(shared):
    for path, method, code in (("/", "GET", 404), ("/livezx", "GET", 404), ("/authenticate", "GET", 404), ("/livez", "POST", 405)):
        status, _, text = shared.webhook.operations(path, method)
        assert status == code and json.loads(text)["kind"] == "Status", (path, method, status, text)


def test_no_review_is_answered_on_the_operations_listener(shared):
    status, _, text = shared.webhook.operations("/authenticate", "POST")
    assert status in (404, 405) and "TokenReview" not in json.loads(text)["kind"]


def test_the_operations_listener_can_speak_tls(provider, start):
    webhook = start(provider, changes={"listeners": {"operations": {"tls": {"certFile": "tls/tls.crt", "keyFile": "tls/tls.key"}}}})
    assert webhook.operations("/livez")[2] == "ok" and webhook.metrics().samples
    with socket.create_connection(("127.0.0.1", webhook.operations_port), timeout=5) as plain:
        plain.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        try:
            got = plain.recv(100)
        except OSError:
            got = b""
    assert not got.startswith(b"HTTP"), got


# ---- a thread that hangs

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT, ANY_CHILD = 17, 0x4206, 0x4207, 0x40000000


@contextmanager
def stopped_thread(process, name):
    """One thread of it stands still in the block, as one does that waits for ever."""
    libc = ctypes.CDLL(None, use_errno=True)
    folders = Path(f"/proc/{process.pid}/task").iterdir()
    thread = next(int(each.name) for each in folders if (each / "comm").read_text().strip() == name)
    if libc.ptrace(PTRACE_SEIZE, thread, None, None) != 0:
        pytest.skip(f"this machine does not let a thread be stopped: {os.strerror(ctypes.get_errno())}")
    try:
        assert libc.ptrace(PTRACE_INTERRUPT, thread, None, None) == 0
        os.waitpid(thread, ANY_CHILD)
        yield
    finally:
        libc.ptrace(PTRACE_DETACH, thread, None, None)


def test_a_thread_that_hangs_fails_livez_and_is_in_the_metrics(provider, start):
    webhook = start(provider)

    def state():
        return webhook.operations("/livez")[0], webhook.metric("kube_introspect_live")

    wait.until(lambda: state() == (200, 1), "all is well at first")
    with stopped_thread(webhook.process, "authentication"):
        wait.until(lambda: state() == (503, 0), lambda: f"/livez fails and the metric is 0: {state()}")
        text = webhook.operations("/livez")[2]
        assert "[-]authentication-loop-" in text and "[+]fetch-thread ok" in text, text
        assert webhook.is_ready(), "a restart is the kubelet's to decide by /livez"
    wait.until(lambda: state() == (200, 1), lambda: f"all is well when it turns again: {state()}")


# ---- metrics


def test_the_metrics_are_well_formed(shared):
    shared.caller.review(shared.provider.issue())
    status, headers, text = shared.webhook.operations("/metrics")
    assert status == 200 and headers["content-type"].startswith("text/plain; version=0.0.4")
    metrics = shared.webhook.metrics()
    for name in metrics.names():
        family = re.sub(r"_(bucket|sum|count)$", "", name) if name not in metrics.types else name
        assert family in metrics.types, f"{name} has no TYPE"
        assert metrics.helps.get(family), f"{name} has no HELP"
        assert name.startswith(("kube_introspect_", "process_")), name
        if metrics.types[family] == "counter":
            assert name.endswith("_total"), f"the counter {name} does not end with _total"
    seen = [(name, tuple(sorted(labels.items()))) for name, labels, _ in metrics.samples]
    assert len(seen) == len(set(seen)), "a sample stands twice"


def test_histograms_add_up(shared):
    shared.caller.review(shared.provider.issue())
    metrics = shared.webhook.metrics()
    histograms = [name for name, kind in metrics.types.items() if kind == "histogram"]
    assert histograms, "no histogram"
    for name in histograms:
        series = {}
        for sample, labels, value in metrics.samples:
            if sample == name + "_bucket":
                rest = tuple(sorted((key, text) for key, text in labels.items() if key != "le"))
                series.setdefault(rest, []).append((float(labels["le"]), value))
        for rest, buckets in series.items():
            assert buckets == sorted(buckets), f"{name}{rest}: le does not rise"
            counts = [count for _, count in buckets]
            assert counts == sorted(counts), f"{name}{rest}: buckets do not add up"
            assert buckets[-1][0] == float("inf")
            assert metrics.value(name + "_count", **dict(rest)) == counts[-1]


def test_reviews_are_counted_by_verdict_and_reason(provider, start):
    webhook = start(provider)
    caller = webhook.caller()
    caller.review(provider.issue())
    caller.review(sentinel.token())
    caller.review(provider.knows(sentinel.token(), reply.error(500)))
    metrics = webhook.metrics()
    name = "kube_introspect_reviews_total"
    assert metrics.value(name, verdict="allow", reason="ok") == 1
    assert metrics.value(name, verdict="deny", reason="inactive") == 1
    assert metrics.value(name, verdict="unavailable", reason="provider_error") == 1
    assert metrics.value(name) == 3
    known = {(verdict, word) for word, (verdict, _) in reasons.read().items()}
    assert {(labels["verdict"], labels["reason"]) for sample, labels, _ in metrics.samples if sample == name} <= known


def test_cache_lookups_and_entries_are_counted(provider, start):
    webhook = start(provider)
    caller, token, unknown = webhook.caller(), provider.issue(), sentinel.token()
    for each in (token, token, token, unknown, unknown):
        caller.review(each)
    metrics = webhook.metrics()
    for outcome, n in (("miss", 2), ("hit", 2), ("negative", 1)):
        assert metrics.value("kube_introspect_cache_lookups_total", outcome=outcome) == n
    assert metrics.value("kube_introspect_cache_entries", part="positive") == 1
    assert metrics.value("kube_introspect_cache_entries", part="negative") == 1
    assert metrics.value("kube_introspect_cache_bytes") > 100


def test_calls_to_the_provider_are_counted_by_issuer_and_outcome(provider, start):
    webhook = start(provider, {"introspection": {"timeout": "10s", "retries": 0}})
    caller = webhook.caller()
    # Behind a time-out there is a new connection: over one that was used before, a hang-up is asked again.
    scripts = {"active": reply.active(), "inactive": reply.inactive(), "unsupported": reply.error(400, "unsupported_token_type"),
               "timeout": reply.silence(), "unreachable": reply.hang_up(), "error": reply.error(500), "throttled": reply.error(429),
               "invalid_reply": reply.plain(200, "x"), "rejected": reply.error(403), "misconfigured": reply.error(404)}
    for outcome, script in scripts.items():
        caller.review(provider.knows(sentinel.token(), script), timeout="2s" if outcome == "timeout" else "20s")
    metrics = webhook.metrics()
    name = "kube_introspect_introspection_calls_total"
    for outcome in scripts:
        assert metrics.value(name, issuer="corp", outcome=outcome) == 1, f"outcome {outcome}: {webhook.operations('/metrics')[2]}"
    assert metrics.value("kube_introspect_introspection_duration_seconds_count", issuer="corp") == len(scripts)


def test_what_is_under_way_is_shown(provider, start):
    webhook = start(provider)
    caller, token = webhook.caller(), provider.issue()
    with provider.holding(token) as go:
        caller.ask(token)
        provider.wait_for_calls(1, token)
        assert webhook.metric("kube_introspect_introspections_in_flight", issuer="corp") == 1
        go.set()
        caller.answer()
    assert webhook.metric("kube_introspect_introspections_in_flight", issuer="corp") == 0


def test_the_state_of_the_configuration_is_shown(shared):
    metrics = shared.webhook.metrics()
    assert metrics.value(GENERATION) == 1 and metrics.value(RELOADED) == 1
    assert abs(metrics.value("kube_introspect_config_last_reload_timestamp_seconds") - time.time()) < 600


def test_the_version_is_shown(shared):
    samples = shared.webhook.metrics().samples
    found = [labels for name, labels, value in samples if name == "kube_introspect_build_info" and value == 1]
    assert len(found) == 1 and found[0]["version"]


def test_the_end_of_our_certificates_is_shown(shared):
    # That of lib/certificates.py lives for 20 days.
    end = shared.webhook.metric("kube_introspect_certificate_expiry_timestamp_seconds", certificate="authentication")
    assert 19 * 86400 < end - time.time() < 21 * 86400


def test_every_metric_is_in_the_documentation_and_every_documented_one_is_there(shared):
    page = paths.ROOT / "docs" / "metrics.md"
    documented = set(re.findall(r"`((?:kube_introspect|process)_[a-z0-9_]+)`", page.read_text()))
    assert set(shared.webhook.metrics().types) == documented, f"{page} and /metrics differ"


def test_no_core_file_can_be_left_behind(shared):
    limits = open(f"/proc/{shared.webhook.process.pid}/limits").read()
    assert re.search(r"Max core file size\s+0\s+0\s", limits), "a core file would hold tokens and client secrets"
