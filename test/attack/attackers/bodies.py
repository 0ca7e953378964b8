"""Bodies that are large, many, or hostile to whoever reads them."""

import json

from hold import hold
from lib import paths
from lib.caller import body
from target import answer, hear, reset

MEBIBYTE = 1024 * 1024


def head(path, n_bytes):
    return (f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {n_bytes}\r\n\r\n").encode()


def held(target, n_bytes, path, port):
    """n bodies at once, each whole but for its last byte. Those that the server ends are sent again."""
    data = head(path, n_bytes) + b" " * (n_bytes - 1)

    def one():
        sock = target.connect(port)
        if sock is not None and not target.send(sock, data):
            target.hear(sock, 0.5)
            return None
        return sock

    hold(target, [sock for _ in range(target["n"]) if not target.is_over() and (sock := one())], again=one)


def held_reviews(target):
    held(target, 2 * MEBIBYTE, "/authenticate", target.port)


def held_admissions(target):
    held(target, 8 * MEBIBYTE, "/validate", target["admission_port"])


def whole_reviews(target):
    """Good reviews of 2 MiB, as many and as fast as they are taken, each connection asking again and again."""
    padding = "x" * (2 * MEBIBYTE - len(body(target.token, padding="")))
    data = target.request(body(target.token, padding=padding))
    opened = target.connect_many(target["n"])
    while opened and not target.is_over():
        for sock in list(opened):
            word = answer(sock) if target.send(sock, data) else hear(sock, 0.1)
            target.ends[word] += 1
            if word != "200":
                opened.remove(sock)
                sock.close()
    for sock in opened:
        reset(sock)


def hostile_bodies():
    """What costs a reader of JSON most: one of 8 MiB each."""
    names = list(range(65000))
    scattered = {f"{number * 40503 % 65536:016x}": "v" * 100 for number in names}
    yield json.dumps({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {"uid": "u", "object": scattered}}).encode()
    yield b'{"kind":"AdmissionReview","request":' + b"[" * (7 * MEBIBYTE)
    yield b'{"kind":"AdmissionReview","request":{"uid":"' + b"\\u0041" * MEBIBYTE + b'"}}'
    yield b'{"kind":"AdmissionReview"' + b" " * (7 * MEBIBYTE) + b"}"
    for path in sorted(paths.ADMISSIONS.glob("bomb-*.json")):
        yield path.read_bytes()


def hostile_admissions(target):
    """Those, one after the other, without a pause."""
    kinds = [head("/validate", len(data)) + data for data in hostile_bodies()]
    turn = 0
    while not target.is_over():
        sock = target.connect(target["admission_port"])
        if sock is None:
            continue
        sent = target.send(sock, kinds[turn % len(kinds)])
        target.ends[answer(sock) if sent else hear(sock, 0.1)] += 1
        reset(sock)
        turn += 1


def over_the_limit(target):
    """Bodies that say they are larger than what is read, and such that become so."""
    port = target.get("at", target.port)
    path = target.get("path", "/authenticate")
    kinds = [head(path, 10**12), head(path, 2**63), head(path, 9 * MEBIBYTE) + b"x" * (9 * MEBIBYTE), head(path, 9 * MEBIBYTE) + b"x" * 1000,
             f"POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + (b"10000\r\n" + b"x" * 65536 + b"\r\n") * 144,
             f"POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n".encode(),
             f"POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n".encode() + b"x" * 100]
    turn = 0
    while not target.is_over():
        sock = target.connect(port)
        if sock is not None:
            target.send(sock, kinds[turn % len(kinds)])
            target.hear(sock, 1.0)
        turn += 1


ATTACKS = {"held-reviews": held_reviews, "held-admissions": held_admissions, "whole-reviews": whole_reviews,
           "hostile-admissions": hostile_admissions, "over-the-limit": over_the_limit}
