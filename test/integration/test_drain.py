"""SIGTERM: not ready at once, still answering, gone within 25 seconds with exit status 0."""

import signal
import threading
import time

import pytest

from lib import reply, sentinel, wait
from lib.caller import body
from lib.connection import Closed, request_bytes
from lib.load import Load


def test_sigterm_turns_unready_at_once_and_requests_are_still_answered(provider, start):
    def attempt():  # whoever has no caller any more is gone two seconds after the signal
        webhook = start(provider)
        caller = webhook.caller()
        token = provider.issue()
        assert caller.review(token).verdict == "allow"
        webhook.signal(signal.SIGTERM)
        wait.until(lambda: webhook.operations("/readyz")[0] == 503, "/readyz fails")
        assert webhook.operations("/livez")[0] == 200, "a liveness probe that fails now would kill what still answers"
        kept = caller.review(token)  # on the connection of before
        assert kept.verdict == "allow" and kept.response.closes, "the answer does not say Connection: close"
        fresh = webhook.caller().review(provider.issue())  # on a new one
        assert fresh.verdict == "allow" and fresh.response.closes
        webhook.wait_stopped()
        assert "stopping" in webhook.log_text()

    wait.undisturbed(attempt)


def test_without_callers_the_process_ends_soon(provider, start):
    webhook = start(provider)
    began = time.monotonic()
    webhook.signal(signal.SIGTERM)
    webhook.wait_stopped()
    assert time.monotonic() - began < 2 + wait.STALL


def test_idle_connections_do_not_hold_the_process(provider, start):
    webhook = start(provider)
    callers = [webhook.caller() for _ in range(10)]
    for caller in callers:
        caller.review(provider.issue())
    silent = webhook.connect()
    began = time.monotonic()
    webhook.signal(signal.SIGTERM)
    webhook.wait_stopped()
    assert time.monotonic() - began < 10 * wait.SLOWNESS
    assert silent.is_closed_by_server()


def test_a_review_under_way_is_answered_before_the_process_ends(provider, start):
    webhook = start(provider, {"introspection": {"timeout": "10s"}})
    caller, token = webhook.caller(), provider.issue()
    with provider.holding(token) as go:
        caller.ask(token, timeout="30s")
        provider.wait_for_calls(1, token)
        webhook.signal(signal.SIGTERM)
        wait.until(lambda: webhook.operations("/readyz")[0] == 503, "/readyz fails")
        go.set()
        answer = caller.answer()
    assert answer.verdict == "allow" and answer.response.closes
    webhook.wait_stopped()


def test_no_request_of_a_load_fails_while_the_process_drains(provider, start):
    """Callers that open a new connection when they are told to, until the process is gone."""
    token = provider.issue()

    def attempt():  # idle connections are closed after two seconds, so a load that stands still for so long meets that
        webhook = start(provider)
        with Load(webhook, token, n_threads=2) as load:
            load.wait_for(50)
            webhook.signal(signal.SIGTERM)
            wait.until(lambda: webhook.operations("/readyz")[0] == 503, "/readyz fails")
            load.wait_for(50)
        load.assert_no_failure()
        webhook.wait_stopped()

    wait.undisturbed(attempt)


def test_a_second_signal_ends_it_at_once(provider, start):
    webhook = start(provider)
    caller = webhook.caller()
    caller.ask(provider.knows(sentinel.token(), reply.silence()), timeout="30s")
    began = time.monotonic()
    webhook.signal(signal.SIGTERM)
    wait.until(lambda: webhook.operations("/readyz")[0] == 503, "/readyz fails")
    webhook.signal(signal.SIGTERM)
    webhook.wait_stopped()
    assert time.monotonic() - began < 2 + wait.STALL


@pytest.mark.parametrize("round", range(3))
def test_a_second_signal_while_callers_ask_and_probes_look_ends_it_cleanly(provider, start, round):
    """Whatever is taken down must not be used any more by what still turns: under a sanitizer this is where it shows."""
    webhook = start(provider)
    stop = threading.Event()

    def ask():
        caller = webhook.caller()
        while not stop.is_set():
            try:
                caller.review(provider.issue())
            except (AssertionError, Closed, OSError):
                caller.close()

    def look():
        while not stop.is_set():
            try:
                for path in ("/livez", "/readyz?verbose", "/metrics"):
                    webhook.operations(path)
            except OSError:
                pass

    threads = [threading.Thread(target=target) for target in (ask, ask, ask, look, look)]
    for thread in threads:
        thread.start()
    provider.wait_for_calls(20)
    webhook.stop()
    stop.set()
    for thread in threads:
        thread.join()


# Its connection counted as idle until its body was whole.
def test_a_review_whose_body_is_still_coming_is_answered(provider, start):
    webhook = start(provider)
    caller, token = webhook.caller(), provider.issue()
    assert caller.review(token).verdict == "allow"
    request = request_bytes("POST", "/authenticate", body(token))
    opened = caller.connect()
    opened.send(request[:-10])
    webhook.signal(signal.SIGTERM)
    wait.past(time.monotonic(), 3, "whoever is idle is closed by now")
    opened.send(request[-10:])
    answer = caller.answer()
    assert answer.verdict == "allow" and answer.response.closes
    webhook.wait_stopped()


def test_stuck_callers_do_not_hold_the_process_past_twenty_five_seconds(provider, start):
    webhook = start(provider, {"introspection": {"timeout": "30s"}})
    half_handshake = webhook.connect(handshake=False)
    half_request = webhook.connect()
    half_request.send(b"POST /authenticate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
    waiting = webhook.caller()
    waiting.ask(provider.knows(sentinel.token(), reply.silence()), timeout="60s")
    provider.wait_for_calls(1)
    began = time.monotonic()
    webhook.signal(signal.SIGTERM)
    webhook.wait_stopped()
    took = time.monotonic() - began
    assert took <= 25 + wait.STALL, f"expected an end within 25 s, it took {took:.1f} s"
    try:
        assert waiting.answer().verdict == "unavailable"
    except Closed:
        pass
    for each in (half_handshake, half_request):
        each.close()
