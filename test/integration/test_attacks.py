"""Attacks that worked once, or nearly: each is answered here for good."""

import contextlib
import os
import resource
import signal
import socket
import threading

import pytest

from lib import reply, sentinel, wait
from lib.caller import answer_of, body
from lib.connection import Closed, request_bytes


@contextlib.contextmanager
def busy(*jobs):
    """Each job runs again and again in a thread of its own, whatever becomes of it, until the block ends."""
    stop = threading.Event()

    def repeat(job):
        while not stop.is_set():
            try:
                job()
            except (OSError, Closed):
                stop.wait(0.002)

    threads = [threading.Thread(target=repeat, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@contextlib.contextmanager
def strangers(port, n):
    """n connections of somebody who has no certificate and says nothing."""
    with contextlib.ExitStack() as opened:
        for _ in range(n):
            opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
        yield


def n_descriptors(webhook):
    return len(os.listdir(f"/proc/{webhook.process.pid}/fd"))


# The fetch thread was taken apart while loops and probes still used it.
@pytest.mark.parametrize("attempt", range(3))
def test_new_tokens_and_probes_during_the_very_end_meet_no_part_that_has_gone(provider, start, attempt):
    provider.otherwise = reply.after(0.01, reply.inactive())
    webhook = start(provider)

    def log_in():
        with webhook.connect() as opened:
            while True:
                opened.send(request_bytes("POST", "/authenticate", body(sentinel.token())))
                opened.response("POST")

    def probe():
        asked = b"".join(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path for path in (b"/livez", b"/readyz?verbose")) * 20
        with socket.create_connection(("127.0.0.1", webhook.operations_port), timeout=5) as opened:
            while True:  # without a pause: what is looked at is gone for some milliseconds only before the process is
                opened.sendall(asked)
                if not opened.recv(65536):
                    return

    with busy(*[log_in] * 6, *[probe] * 3):
        provider.wait_for_calls(100)
        webhook.signal(signal.SIGTERM)
        webhook.signal(signal.SIGINT)
        webhook.wait_stopped()


# 1,000 connections without a certificate left no descriptor for the calls to providers, nor for a reload.
def test_a_stranger_cannot_take_the_descriptors_that_logins_and_reloads_need(provider, start):
    webhook = start(provider, changes={"threads": 1}, n_files=128)
    callers = [webhook.caller() for _ in range(8)]
    for caller in callers:
        caller.connect()
    with strangers(webhook.port, 200):
        wait.until(lambda: _room_was_made(webhook), "they keep an eighth of the descriptors")
        assert n_descriptors(webhook) < 128 * 3 / 4
        provider.otherwise = reply.after(0.2, reply.active())  # so that each needs a connection of its own to the provider
        for caller in callers:
            caller.ask(sentinel.token(), timeout="5s")
        assert [caller.answer().verdict for caller in callers] == ["allow"] * 8
        start_of_log = len(webhook.log_text())
        provider.secrets.add("another")
        webhook.folder.write("secrets/client-secret", "another\n")
        webhook.wait_log("reload", "is in use", start=start_of_log)
        assert webhook.caller().review(provider.issue()).verdict == "allow", "a caller that comes only now"
    assert webhook.log_text().count("connections are closed") == 1, "each closed connection has a line of its own in the log"


def _room_was_made(webhook):
    with contextlib.suppress(OSError):  # as long as they come faster than they go, there is none for us either
        return crowded(webhook) > 0 and webhook.metric("kube_introspect_connections") <= 8 + 128 / 8 + 1
    return False


def test_the_soft_limit_of_open_files_is_raised(provider, start):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard // 2, hard))  # its parent's is its own
    try:
        webhook = start(provider)
        assert resource.prlimit(webhook.process.pid, resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def crowded(webhook):
    return webhook.metric("kube_introspect_connections_closed_total", reason="crowded")


# 150 open POSTs to the port that needs no certificate held 300 MB; there was room for 4,096 of them.
def test_the_operations_port_keeps_no_bodies(provider, start):
    webhook = start(provider)
    with socket.create_connection(("127.0.0.1", webhook.operations_port), timeout=5) as stranger:
        stranger.sendall(b"POST /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4097\r\n\r\n")
        assert stranger.recv(12) == b"HTTP/1.1 413"
    with socket.create_connection(("127.0.0.1", webhook.operations_port), timeout=5) as stranger:
        stranger.sendall(b"POST /livez HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2000\r\n" + b"x" * 8192)
        assert stranger.recv(12) == b"HTTP/1.1 413"


def test_connections_to_the_operations_port_are_few_and_make_room(provider, start):
    webhook = start(provider)
    with strangers(webhook.operations_port, 400):
        wait.until(lambda: n_descriptors(webhook) < 64 + 40, "the oldest have made room for the others, and for whoever asks")
        assert crowded(webhook) > 0
        assert webhook.caller().review(provider.issue()).verdict == "allow"


# A caller whose name or CA was taken away went on for as long as it kept its connection.
def test_a_caller_whose_name_was_taken_away_is_answered_once_more_at_most(provider, start):
    webhook = start(provider)
    caller = webhook.caller()
    assert caller.review(provider.issue()).verdict == "allow"
    webhook.reload(changes={"listeners": {"authentication": {"tls": {"clientNames": ["somebody-else"]}}}})

    def is_announced():
        return caller.review(provider.issue()).response.closes

    wait.until(is_announced, "the new configuration has come to the caller's loop, which ends the connection")
    with pytest.raises((Closed, OSError)):
        caller.review(provider.issue())


# HTTP/1.1 only: h2o 2.2 can be aborted over HTTP/2, and has more than one door to it.
@pytest.mark.parametrize("pieces", [[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"], [b"PRI * HT", b"TP/2.0\r\n\r\nSM\r\n\r\n"]],
                         ids=["whole", "split"])
@pytest.mark.parametrize("listener", ["authentication", "operations"])
def test_the_preface_of_http_2_is_no_request(shared, listener, pieces):
    webhook = shared.webhook
    with webhook.connect() if listener == "authentication" else socket.create_connection(
            ("127.0.0.1", webhook.operations_port), timeout=5) as opened:
        sock = opened.socket if listener == "authentication" else opened
        for piece in pieces:
            sock.sendall(piece)
        assert sock.recv(12) == b"HTTP/1.1 400"
    webhook.assert_alive()


def test_an_upgrade_to_http_2_is_not_made(shared):
    data = request_bytes("POST", "/authenticate", body(shared.provider.issue()), headers=[
        ("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA")])
    with shared.webhook.connect() as opened:
        opened.send(data)
        assert answer_of(opened.response("POST")).verdict == "allow"


def test_pipelined_bodies_that_wait_for_100_continue_are_each_answered_once(shared):
    data = request_bytes("POST", "/authenticate", body(shared.provider.issue()), headers=[("Expect", "100-continue")])
    with shared.webhook.connect() as opened:
        opened.send(data * 5)
        for _ in range(5):
            assert opened.response("HEAD").status == 100  # no body follows
            assert answer_of(opened.response("POST")).verdict == "allow"
