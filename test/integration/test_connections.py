"""Callers that take their time, bring too much or do not read: each has an end, and nobody else notices."""

import contextlib
import ctypes
import errno
import os
import signal
import socket
import threading
import time

import pytest

from lib import reply, sentinel, threads, wait
from lib.caller import body
from lib.connection import Closed, request_bytes

ENDS = "kube_introspect_connections_closed_total"
MIB = 1024 * 1024


def ended(webhook, reason):
    return webhook.metric(ENDS, reason=reason)


def taken_from(pid, client):
    """The other end of a connection: a socket of that process, as one of ours."""
    pidfd_getfd, process = 438, os.pidfd_open(pid)
    try:
        for number in map(int, os.listdir(f"/proc/{pid}/fd")):
            fd = ctypes.CDLL(None, use_errno=True).syscall(pidfd_getfd, process, number, 0)
            if fd < 0 and ctypes.get_errno() in (errno.EPERM, errno.ENOSYS):
                pytest.skip("a container without CAP_SYS_PTRACE shows no other process's sockets")
            if fd < 0:
                continue
            try:
                candidate = socket.socket(fileno=fd)
            except OSError:  # no socket
                os.close(fd)
                continue
            with contextlib.suppress(OSError):
                if candidate.family == socket.AF_INET and candidate.getpeername() == client.getsockname():
                    return candidate
            candidate.close()
    finally:
        os.close(process)
    raise AssertionError("no socket of that process is the other end")


@contextlib.contextmanager
def dripping(connection, data):
    """Byte after byte, four in a second, until the other side has enough."""
    stop = threading.Event()

    def drip():
        for byte in data:
            if stop.wait(0.25):
                return
            try:
                connection.send(bytes([byte]))
            except (OSError, Closed):
                return

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def deaf(webhook, token):
    """Asks for answers of 100 kB, pipelined, and reads none of them."""
    connection = webhook.connect()
    connection.socket.settimeout(0.5)
    asked = request_bytes("POST", "/authenticate", body(token))
    with contextlib.suppress(OSError):
        for _ in range(1000):
            connection.send(asked * 10)
    return connection


def test_whoever_takes_too_long_is_ended_and_who_is_quick_is_not(provider, start):
    webhook = start(provider)
    large = provider.issue(groups=["g" * 200 + str(n) for n in range(500)])
    caller = webhook.caller()
    assert caller.review(provider.issue()).verdict == "allow"
    with contextlib.ExitStack() as open_ones:
        silent = open_ones.enter_context(webhook.connect(handshake=False))
        half = open_ones.enter_context(webhook.connect(handshake=False))
        half.start_handshake()
        header = open_ones.enter_context(webhook.connect())
        content = open_ones.enter_context(webhook.connect())
        content.send(b"POST /authenticate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
        unread = open_ones.enter_context(deaf(webhook, large))
        probe = open_ones.enter_context(socket.create_connection(("127.0.0.1", webhook.operations_port), timeout=40))
        with dripping(header, b"POST /authenticate HTTP/1.1\r\nX-Slow: " + b"x" * 1000), dripping(content, b"{" + b" " * 999):
            for reason, n in (("handshake_timeout", 2), ("request_timeout", 2), ("write_timeout", 1), ("idle_timeout", 1)):
                wait.until(lambda r=reason, n=n: ended(webhook, r) == n, lambda r=reason, n=n: f"{n} ended by {r}: {ended(webhook, r)}",
                           seconds=40)
        for connection in (silent, half, header, content, unread):
            assert connection.is_closed_by_server()
        assert probe.recv(1) == b""
    assert caller.review(provider.issue()).verdict == "allow", "a connection that was idle for half a minute"
    assert webhook.metric("kube_introspect_tls_handshakes_total", result="failure") >= 2


def test_bodies_that_are_never_finished_hold_no_more_than_their_share(provider, start):
    webhook = start(provider, changes={"threads": 1})
    caller, token = webhook.caller(), provider.issue()
    assert caller.review(token).verdict == "allow"
    before = webhook.metric("process_resident_memory_bytes")
    began, piece = time.monotonic(), b" " * (19 * MIB // 10)
    with contextlib.ExitStack() as open_ones:
        for _ in range(100):
            hoarder = open_ones.enter_context(webhook.connect())
            hoarder.send(b"POST /authenticate HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (2 * MIB))
            with contextlib.suppress(OSError, Closed):
                hoarder.send(piece)
            assert caller.review(token).verdict == "allow"
        assert ended(webhook, "memory") >= 40, "100 bodies of 1.9 MB were all kept"
        if wait.SLOWNESS == 1:  # AddressSanitizer keeps what was freed for a while
            assert webhook.metric("process_resident_memory_bytes") - before < 128 * MIB
        assert webhook.caller().review(provider.issue()).verdict == "allow", "a new token by a new connection"
    assert webhook.log_text().count("hold too much memory") <= 1 + (time.monotonic() - began) / 10, "said once in ten seconds"


def test_requests_that_wait_for_a_silent_provider_have_a_share_and_the_others_are_told_at_once(provider, start):
    webhook = start(provider, {"introspection": {"timeout": "30s", "budget": {"concurrent": 100}}}, {"threads": 1})
    with contextlib.ExitStack() as open_ones:
        waiting = [open_ones.enter_context(webhook.connect()) for _ in range(60)]
        for n, connection in enumerate(waiting):
            padded = body(provider.knows(sentinel.token(), reply.silence()))[:-1] + b" " * MIB + b"}"
            connection.send(request_bytes("POST", "/authenticate?timeout=30s", padded))
            wait.until(lambda: n_read(webhook) > n, "it is read: one after the other, or there is no room to read them all")
        wait.until(lambda: webhook.metric("kube_introspect_reviews_total", reason="overloaded") or 0, "some are refused at once")
        assert webhook.metric("kube_introspect_introspections_in_flight") > 0, "all are refused"
        assert webhook.caller().review(provider.issue()).verdict == "allow"


def n_read(webhook):
    """Reviews that wait for the provider, or are over."""
    metrics = webhook.metrics()
    return (metrics.value("kube_introspect_introspections_in_flight") or 0) + (metrics.value("kube_introspect_reviews_total") or 0)


def test_a_loop_that_hangs_fails_livez_until_it_turns_again(provider, start):
    webhook = start(provider)
    with threads.Hanging(webhook.process.pid, "authentication"):
        wait.until(lambda: webhook.operations("/livez")[0] == 503, "/livez fails", seconds=10)
        assert "[-]authentication-loop-0 failed" in webhook.operations("/livez?verbose")[2]
    webhook.wait_live()
    assert webhook.caller().review(provider.issue()).verdict == "allow"


# Whoever was given to it waited, and so did whoever came after them: nobody was accepted any more.
def test_a_loop_that_hangs_takes_no_place_from_callers_of_the_others(provider, start):
    webhook = start(provider, changes={"threads": 2})
    with threads.Hanging(webhook.process.pid, "authentication"), contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(webhook.connect(handshake=False))
        assert webhook.caller().review(provider.issue()).verdict == "allow"


# The loop for operations turned first, and took the others for ones that hang.
def test_a_probe_that_waited_while_the_process_was_stopped_finds_it_well(provider, start):
    webhook = start(provider)
    webhook.wait_live()
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", webhook.operations_port), timeout=30) as probe:
            with stopped(webhook):
                probe.sendall(b"GET /livez HTTP/1.0\r\nHost: localhost\r\n\r\n")
                wait.past(time.monotonic(), 2.5, "a loop that hangs would be found")
            assert b" 200 OK" in probe.recv(4096)


def test_a_stop_that_hangs_is_ended(provider, start):
    webhook = start(provider)
    with threads.Hanging(webhook.process.pid, "authentication") as thread:
        webhook.last_status = 1
        webhook.signal(signal.SIGTERM)
        assert thread.wait_for_end(webhook.process, 60) == 1
    assert "a thread hangs" in webhook.log_text()


# Each got a key exchange and a signature, with which those who had stayed waited for seconds.
def test_who_has_left_before_its_turn_is_given_no_handshake(provider, start):
    webhook = start(provider)
    tls = webhook.caller_tls()
    with stopped(webhook):
        for _ in range(900):
            with webhook.connect(tls, handshake=False) as opened:
                opened.start_handshake()
        before = cpu_seconds(webhook)
    failed = "kube_introspect_tls_handshakes_total"
    wait.until(lambda: webhook.metric(failed, result="failure") >= 900, "all have come and are gone", interval=0.1)
    assert cpu_seconds(webhook) - before < 0.15 * wait.SLOWNESS  # 900 signatures take 0.3 s


@pytest.mark.skipif(wait.SLOWNESS > 1, reason="a sanitizer's heap keeps what was freed")
def test_memory_of_connections_that_have_closed_goes_back(provider, start):
    webhook = start(provider)
    tls = webhook.caller_tls()
    resident = "process_resident_memory_bytes"
    before = webhook.metric(resident)
    with contextlib.ExitStack() as open_ones:
        for _ in range(500):
            open_ones.enter_context(webhook.connect(tls, handshake=False)).start_handshake()
        wait.until(lambda: webhook.metric(resident) > before + 16 * MIB, "they take memory")
    wait.until(lambda: webhook.metric(resident) < before + 4 * MIB,
               lambda: f"it is given back (still {(webhook.metric(resident) - before) / MIB:.1f} MiB more)")


@contextlib.contextmanager
def stopped(webhook):
    webhook.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        webhook.signal(signal.SIGCONT)


def cpu_seconds(webhook):
    with open(f"/proc/{webhook.process.pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ---- the kernel's part

def test_a_connection_has_the_options_that_its_listener_was_given(provider, start):
    webhook = start(provider)
    caller = webhook.connect()
    ours = taken_from(webhook.process.pid, caller.socket)
    assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30000
    ours.close()
    caller.close()
