"""What a scripted provider does with a request: each reply is a function of the exchange, made by one of the functions here."""

import json as _json
import socket
import struct
import time


def head(status, reason, headers, http="HTTP/1.1"):
    line = f"{http} {status}" + (f" {reason}" if reason is not None else " ")
    return (line + "\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers) + "\r\n").encode()


def plain(status=200, body=b"", content_type="application/json", reason="OK", headers=()):
    """Head with Content-Length, then the body. content_type None: no such header."""
    data = body.encode() if isinstance(body, str) else body
    types = [("Content-Type", content_type)] if content_type is not None else []

    def act(exchange):
        exchange.send(head(status, reason, [*types, ("Content-Length", str(len(data))), *headers]) + data)

    return act


def json(value, status=200, **more):
    return plain(status, _json.dumps(value), **more)


def active(**claims):
    """An active token that the configuration of lib/configuration.py accepts. A claim given as None is left out."""
    now = int(time.time())
    reply = {"active": True, "token_type": "Bearer", "aud": "kubernetes", "client_id": "kubectl", "sub": "u-1",
             "preferred_username": "alice", "groups": ["developers"], "iat": now - 60, "exp": now + 3600}
    reply.update(claims)
    return json({name: value for name, value in reply.items() if value is not None})


def inactive(**beside):
    return json({"active": False, **beside})


def error(status, word="invalid_request", description=None, reason="Error", **more):
    return json({"error": word, "error_description": description or "nothing to see"}, status, reason=reason, **more)


def chunked(value, status=200, reason=None, size=7):
    """As some servers send it: chunks, and no reason phrase."""
    data = _json.dumps(value).encode()

    def act(exchange):
        exchange.send(head(status, reason, [("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")]))
        for at in range(0, len(data), size):
            piece = data[at:at + size]
            exchange.send(b"%x\r\n" % len(piece) + piece + b"\r\n")
        exchange.send(b"0\r\n\r\n")

    return act


def raw(data, close=True):
    """These bytes and nothing else."""

    def act(exchange):
        exchange.send(data)
        if close:
            exchange.close()

    return act


def truncated(reply_body, announced):
    """A head that announces more than comes before the connection ends."""

    def act(exchange):
        exchange.send(head(200, "OK", [("Content-Type", "application/json"), ("Content-Length", str(announced))]))
        exchange.send(reply_body)
        exchange.close()

    return act


def until_close(body):
    """No length at all: the end of the connection ends the body."""

    def act(exchange):
        exchange.send(head(200, "OK", [("Content-Type", "application/json"), ("Connection", "close")]) + body)
        exchange.close()

    return act


def drip(body, interval):
    """A byte at a time."""

    def act(exchange):
        exchange.send(head(200, "OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]))
        for at in range(len(body)):
            if exchange.pause(interval):
                return
            exchange.send(body[at:at + 1])

    return act


def silence():
    """Takes the request and says nothing, until the caller goes or the provider stops."""

    def act(exchange):
        exchange.wait_for_end()

    return act


def after(seconds, then):
    def act(exchange):
        if not exchange.pause(seconds):
            then(exchange)

    return act


def when(event, then):
    """Answers when the event is set."""

    def act(exchange):
        while not event.is_set():
            if exchange.pause(0.005):
                return
        then(exchange)

    return act


def closing(then):
    """Answers, then closes without having said so."""

    def act(exchange):
        then(exchange)
        exchange.close()

    return act


def hang_up():
    return lambda exchange: exchange.close()


def reset():
    """Ends the TCP connection with an RST, without a TLS goodbye."""

    def act(exchange):
        exchange.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        exchange.close(polite=False)

    return act


def in_turn(*replies):
    """One after the other; the last one for ever."""
    left = list(replies)

    def act(exchange):
        (left.pop(0) if len(left) > 1 else left[0])(exchange)

    return act
