"""Connections that end by a reset, at each stage of a login."""

import os
import signal

from lib import sentinel
from lib.caller import body


def before_tls(target):
    return target.dial()


def in_the_handshake(target):
    sock = target.dial()
    if sock is not None:
        target.start_handshake(sock)
    return sock


def after_the_handshake(target):
    return target.connect()


def sent(target, data):
    sock = target.connect()
    if sock is not None:
        target.send(sock, data)
    return sock


def in_the_header(target):
    return sent(target, b"POST /authen")


def in_the_body(target):
    return sent(target, target.request(body(target.token))[:-20])


def while_the_provider_is_asked(target):
    return sent(target, target.request(body(sentinel.token())))


def with_a_pile_under_way(target):
    return sent(target, target.request(body(target.token)) * 50)


def while_the_reply_is_sent(target):
    sock = sent(target, target.request(body(target["large_token"])) * 20)
    if sock is not None:
        sock.recv(100)
    return sock


def after_the_reply(target):
    sock = sent(target, target.request(body(target.token)))
    if sock is not None:
        sock.recv(100)
    return sock


STAGES = (before_tls, in_the_handshake, after_the_handshake, in_the_header, in_the_body, while_the_provider_is_asked,
          with_a_pile_under_way, while_the_reply_is_sent, after_the_reply)


def resets(target):
    """Every stage in turn."""
    turn = 0
    while not target.is_over():
        stage = STAGES[turn % len(STAGES)]
        turn += 1
        try:
            sock = stage(target)
        except OSError:
            target.ends["ended"] += 1
            continue
        if sock is not None:
            target.leave(sock)


def reloads(target):
    """Connections of every stage while the configuration is loaded anew again and again: h2o keeps a raw pointer to the TLS context."""
    turn, waiting = 0, []
    while not target.is_over():
        sock = STAGES[turn % 3](target)
        turn += 1
        if sock is not None:
            waiting.append(sock)
        if turn % 60 == 0:
            os.kill(target["pid"], signal.SIGHUP)
        if len(waiting) >= 200:
            for each in waiting:
                target.send(each, target.request(body(target.token)))
            target.settle(waiting)
            waiting = []
    target.settle(waiting)


ATTACKS = {"resets": resets, "reloads": reloads}
