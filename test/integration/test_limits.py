"""What is short runs out without harm: file descriptors, places at the provider, a reader of the log."""

import os
import socket
import threading
import time

import pytest

from lib import configuration, reply, sentinel, wait
from lib.caller import answer_of, body
from lib.connection import Closed, request_bytes


def test_a_process_without_file_descriptors_refuses_connections_and_recovers(provider, start):
    webhook = start(provider, n_files=64)
    caller, token = webhook.caller(), provider.issue()
    assert caller.review(token).verdict == "allow"
    opened = []
    with pytest.raises((OSError, Closed)):
        while len(opened) < 64:
            opened.append(webhook.connect())  # with a certificate: a stranger would make room for the next
    webhook.wait_log("acceptor", "refused", "open files")
    assert caller.review(token).verdict == "allow", "the connection of before is not served any more"
    webhook.assert_alive()
    for each in opened:
        each.close()

    def is_answered():
        try:
            return webhook.caller().review(token).verdict == "allow"
        except (Closed, OSError):
            return False

    wait.until(is_answered, f"new connections are served again; log {webhook.log}")


def test_tokens_that_wait_for_a_silent_provider_are_answered_at_their_callers_deadlines(provider, start):
    webhook = start(provider, {"introspection": {"timeout": "30s", "budget": {"concurrent": 1}}})
    callers = [webhook.caller() for _ in range(5)]
    for caller in callers:
        caller.connect()
    began = time.monotonic()
    for caller in callers:
        caller.ask(provider.knows(sentinel.token(), reply.silence()), timeout="500ms")
    assert {caller.answer().verdict for caller in callers} == {"unavailable"}
    assert time.monotonic() - began < 0.5 + wait.STALL


def test_a_silent_provider_does_not_slow_the_tokens_of_another(providers, start):
    silent, quick = providers(), providers()
    webhook = start(issuers=[
        configuration.issuer(silent, {"tokens": {"opaquePrefix": "one_"}, "introspection": {"timeout": "30s"}}, name="silent"),
        configuration.issuer(quick, {"tokens": {"opaquePrefix": "two_"}}, name="quick")])
    waiting = [webhook.caller() for _ in range(70)]  # more than may be asked at once: of unknown tokens 0.8 of 64
    for caller in waiting:
        caller.ask(silent.knows(sentinel.token("one_"), reply.silence()), timeout="30s")
    silent.wait_for_calls(52)
    caller = webhook.caller()
    began = time.monotonic()
    for _ in range(20):
        assert caller.review(quick.issue("two_"), timeout="10s").verdict == "allow"
    assert time.monotonic() - began < 1 + wait.STALL
    silent.stop()
    assert {caller.answer().verdict for caller in waiting} == {"unavailable"}


def test_a_provider_that_takes_connections_and_never_shakes_hands_is_a_timeout(provider, start):
    webhook = start(provider, {"introspection": {"timeout": "300ms"}})
    provider.stop()
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        deaf.bind(("127.0.0.1", provider.port))
        deaf.listen()
        answer, record = webhook.reason_of(lambda: webhook.caller().review(sentinel.token()))
    assert (answer.verdict, record["reason"]) == ("unavailable", "provider_timeout")


def test_a_log_that_nobody_reads_stops_nothing(provider, start):
    reader, writer = os.pipe()
    try:
        webhook = start(provider, stderr=writer)
        caller = webhook.caller()
        for number in range(60):  # each reload writes two lines, of some 300 bytes; a pipe holds 64 KiB
            webhook.reload([configuration.merged(webhook.issuers[0], {"claimMappings": {"uid": {"claim": f"{number:0200d}"}}})])
            caller.review(provider.knows(sentinel.token(), reply.error(500)))
        os.set_blocking(writer, False)
        with pytest.raises(BlockingIOError):  # it is full indeed
            os.write(writer, b"x" * 65536)
            os.write(writer, b"x" * 65536)
        assert caller.review(provider.issue(**{f"{59:0200d}": "u"})).verdict == "allow"
        webhook.stop()
    finally:
        os.close(reader)
        os.close(writer)


def test_a_caller_that_never_reads_its_answers_holds_nobody_else(provider, start):
    webhook = start(provider)
    token = provider.issue(groups=["g" * 200 + str(n) for n in range(500)])  # an answer of 100 kB
    with webhook.connect() as deaf:
        deaf.socket.settimeout(0.5)
        data = request_bytes("POST", "/authenticate", body(token))
        try:
            for _ in range(1000):
                deaf.send(data * 10)
        except (TimeoutError, OSError):
            pass  # it takes no more, as it should
        caller = webhook.caller()
        for _ in range(50):
            assert caller.review(provider.issue()).verdict == "allow"
        assert webhook.metric("process_resident_memory_bytes") < 512 * 1024 * 1024


def test_http_1_0_is_answered_and_closed(provider, start):
    webhook = start(provider)
    data = body(provider.issue())
    with webhook.connect() as opened:
        head = b"POST /authenticate HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(data)
        opened.send(head + data)
        assert answer_of(opened.response("POST")).verdict == "allow"
        assert opened.is_closed_by_server()


def test_many_callers_come_and_go_and_no_descriptor_is_lost(provider, start):
    webhook = start(provider)
    token = provider.issue()
    caller = webhook.caller()
    caller.review(token)
    before = webhook.metric("process_open_fds")

    def come_and_go():
        for _ in range(40):
            visitor = webhook.caller()
            visitor.review(token)
            visitor.close()

    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait.until(lambda: webhook.metric("process_open_fds") <= before, lambda: (
        f"open files are back at {before} (now {webhook.metric('process_open_fds')}); log {webhook.log}"))


def test_it_listens_on_ipv6(provider, start):
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
            port = probe.getsockname()[1]
    except OSError:
        pytest.skip("no IPv6 here")
    webhook = start(provider, changes={"listeners": {"authentication": {"address": f"[::1]:{port}"}}})
    with socket.create_connection(("::1", port), timeout=5) as plain:
        with webhook.caller_tls().wrap_socket(plain, server_hostname="localhost") as opened:
            opened.sendall(request_bytes("POST", "/authenticate", body(provider.issue())))
            assert opened.recv(100).startswith(b"HTTP/1.1 200")
