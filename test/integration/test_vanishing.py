"""Callers that go away, at every stage, however rudely: the process goes on serving, and forgets them."""

import threading

import pytest

from lib import reply, sentinel, wait
from lib.caller import answer_of, body
from lib.connection import Closed, request_bytes


def review(token):
    return request_bytes("POST", "/authenticate?timeout=30s", body(token))


def before_tls(shared, leave):
    leave(shared.webhook.connect(handshake=False))


def in_the_middle_of_the_handshake(shared, leave):
    opened = shared.webhook.connect(handshake=False)
    opened.start_handshake()
    leave(opened)


def after_the_handshake(shared, leave):
    leave(shared.webhook.connect())


def in_the_request_line(shared, leave):
    opened = shared.webhook.connect()
    opened.send(b"POST /authen")
    leave(opened)


def after_the_headers(shared, leave):
    opened = shared.webhook.connect()
    data = review(shared.provider.issue())
    opened.send(data[:data.index(b"\r\n\r\n") + 4])
    leave(opened)


def in_the_body(shared, leave):
    opened = shared.webhook.connect()
    opened.send(review(shared.provider.issue())[:-20])
    leave(opened)


def while_the_provider_is_asked(shared, leave):
    token = shared.provider.issue()
    with shared.provider.holding(token) as go:
        opened = shared.webhook.connect()
        opened.send(review(token))
        shared.provider.wait_for_calls(1, token)
        leave(opened)
        go.set()
    # Its answer came to nobody, and is remembered.
    wait.until(lambda: shared.caller.review(token).verdict == "allow", "the token is allowed")
    assert shared.provider.n_calls(token) == 1


def with_several_requests_under_way(shared, leave):
    tokens = [shared.provider.issue() for _ in range(4)]
    opened = shared.webhook.connect()
    with shared.provider.holding(tokens[0]) as go:
        opened.send(b"".join(review(token) for token in tokens))
        shared.provider.wait_for_calls(1, tokens[0])
        leave(opened)
        go.set()


def while_the_reply_is_sent(shared, leave):
    token = shared.provider.issue(groups=["g" * 200 + str(n) for n in range(500)])  # an answer of 100 kB
    assert shared.caller.review(token).verdict == "allow"
    opened = shared.webhook.connect()
    opened.send(review(token) * 20)
    opened.socket.recv(100)
    leave(opened)


def after_the_reply(shared, leave):
    opened = shared.webhook.connect()
    opened.send(review(shared.provider.issue()))
    opened.response("POST")
    leave(opened)


STAGES = [before_tls, in_the_middle_of_the_handshake, after_the_handshake, in_the_request_line, after_the_headers, in_the_body,
          while_the_provider_is_asked, with_several_requests_under_way, while_the_reply_is_sent, after_the_reply]
WAYS = {"by-a-reset": lambda opened: opened.vanish(), "politely": lambda opened: opened.close(),
        "half-way": lambda opened: opened.half_close()}  # says no more, and still listens


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
def test_a_caller_that_vanishes(shared, stage, way):
    shared.caller.review(shared.provider.issue())  # the one connection that is ours
    left = []

    def leave(opened):
        left.append(opened)
        WAYS[way](opened)

    for _ in range(3):
        stage(shared, leave)
    shared.webhook.assert_alive()
    assert shared.caller.review(shared.provider.issue()).verdict == "allow"
    # Who says no more may still listen: an answer is kept for it for 20 seconds.
    wait.until(lambda: shared.webhook.metric("kube_introspect_connections") <= 2,  # ours, and that of /metrics
               lambda: f"connections of callers that went are closed (still "
                       f"{shared.webhook.metric('kube_introspect_connections')}); log {shared.webhook.log}", seconds=30)
    for opened in left:
        opened.close()


def test_two_hundred_callers_half_of_which_vanish_while_the_provider_is_asked(provider, start):
    webhook = start(provider)
    token = provider.issue()
    with provider.holding(token) as go:
        opened = [webhook.connect() for _ in range(200)]
        for each in opened:
            each.send(review(token))
        provider.wait_for_calls(1, token)
        for number, each in enumerate(opened):
            if number % 2:
                each.vanish()
        go.set()
        for each in opened[::2]:
            assert answer_of(each.response("POST")).verdict == "allow"
            each.close()
    webhook.assert_alive()


def test_callers_that_vanish_at_random_do_not_disturb_those_that_stay(provider, start):
    webhook = start(provider)
    good = provider.issue()
    stop = threading.Event()

    def come_and_go():
        tls = webhook.caller_tls()
        while not stop.is_set():
            try:
                opened = webhook.connect(tls)
                opened.send(review(sentinel.TOKEN))
                opened.vanish()
            except (OSError, Closed):
                pass

    provider.knows(sentinel.TOKEN, reply.after(0.005, reply.error(500)))
    caller = webhook.caller()
    assert caller.review(good).verdict == "allow"  # known before the breaker opens
    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        for _ in range(300):
            assert caller.review(good).verdict == "allow"
    finally:
        stop.set()
        thread.join()
