"""Requests that two readers would take for different ones, other protocols, and requests in pieces or in piles."""

from lib.caller import body
from target import hear, reset

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\6\4\0\0\0\0\0\0\4\0\0\0\0"
# A request that is hidden in the body of another: whoever gets an answer to it has smuggled it.
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"


def each(target, kinds, port=None, patience=1.0):
    """Every kind in turn, on a connection of its own; what was answered is counted by the kind's name."""
    turn, names = 0, list(kinds)
    while not target.is_over():
        name = names[turn % len(names)]
        turn += 1
        sock = target.connect(port)
        if sock is None:
            continue
        target.send(sock, kinds[name])
        target.ends[f"{name}: {hear(sock, patience)}" if target.get("by_kind", False) else hear(sock, patience)] += 1
        sock.close()


def http_2(target):
    """The preface of HTTP/2, whole and with frames behind it, and the polite way of an upgrade."""
    upgrade = (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\n"
               b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
    headers = b"\0\0\1\1\4\0\0\0\1\x82"
    resets = b"".join(headers[:8] + bytes([number]) + headers[9:] + b"\0\0\4\3\0\0\0\0" + bytes([number]) + b"\0\0\0\x08"
                      for number in range(1, 250, 2))
    each(target, {"preface": PREFACE, "preface and settings": PREFACE + SETTINGS, "preface and resets": PREFACE + SETTINGS + resets,
                  "upgrade": upgrade}, target.get("at", None))


def ambiguous(target):
    """Two lengths, a length and chunks, lines that end in a bare line feed, no Host: h2o takes some of them. All that an attacker can
    confuse is a connection of its own."""
    data = body(target.token)
    n, both = len(data), b"Host: a\r\nContent-Type: application/json\r\n"
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (n, data)
    post = b"POST /authenticate HTTP/1.1\r\n"
    last = b"Connection: close\r\n"
    each(target, {
        "length and chunks": post + both + b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n" % (n + 10) + chunked + HIDDEN,
        "chunks and length": post + both + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n" + chunked + HIDDEN,
        "two lengths": post + both + b"Content-Length: %d\r\nContent-Length: 4\r\n\r\n" % n + data + HIDDEN,
        "two equal lengths": post + both + last + b"Content-Length: %d\r\nContent-Length: %d\r\n\r\n" % (n, n) + data,
        "a list of lengths": post + both + b"Content-Length: %d, %d\r\n\r\n" % (n, n) + data,
        "a length with a sign": post + both + b"Content-Length: +%d\r\n\r\n" % n + data,
        "a length below zero": post + both + b"Content-Length: -1\r\n\r\n" + data,
        "a length in hexadecimal": post + both + b"Content-Length: 0x%x\r\n\r\n" % n + data,
        "bare line feeds": (post + both + last + b"Content-Length: %d\r\n\r\n" % n).replace(b"\r\n", b"\n") + data,
        "a space before the colon": post + both + b"Content-Length : %d\r\n\r\n" % n + data,
        "an unknown coding": post + both + b"Transfer-Encoding: xchunked\r\n\r\n" + chunked,
        "two codings": post + both + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + chunked,
        "no host": post + b"Content-Type: application/json\r\n" + last + b"Content-Length: %d\r\n\r\n" % n + data,
        "a zero byte": post + both + b"X: a\0b\r\nContent-Length: %d\r\n\r\n" % n + data,
        "no version": b"GET /authenticate\r\n\r\n",
        "version 9.9": b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
    }, patience=0.3)


def odd_paths(target):
    """Paths that are the right one to somebody who decodes, joins or cuts."""
    data = body(target.token)
    paths = ("//authenticate", "/authenticate/", "/authenticate/../authenticate", "/%61uthenticate", "/authenticate%00", "/authenticate;x",
             "/./authenticate", "*", "http://a/authenticate/x", "/authenticate#x", "/authenticatex", "/livez", "/metrics", "/" + "../" * 500)
    sock = None
    turn = 0
    while not target.is_over():
        if sock is None:
            sock = target.connect()
            continue
        pile = b"".join(target.request(data, path) for path in paths)
        if not target.send(sock, pile):
            sock = None
            continue
        seen = b""
        while seen.count(b"HTTP/1.1 ") < len(paths) and (piece := sock.recv(65536)):
            seen += piece
        for part in seen.split(b"HTTP/1.1 ")[1:]:
            target.ends[part[:3].decode()] += 1
        turn += 1
        if turn % 50 == 0:
            reset(sock)
            sock = None
    if sock:
        reset(sock)


def chunked(target):
    """Bodies in chunks of a byte, with extensions, and trailers without an end."""
    start = b"POST /authenticate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    each(target, {"bytes": start + b"1\r\nx\r\n" * 300000 + b"0\r\n\r\n",
                  "extensions": start + (b"1;" + b"e" * 1000 + b"\r\nx\r\n") * 2000 + b"0\r\n\r\n",
                  "an extension without an end": start + b"1;" + b"e" * 2000000,
                  "trailers without an end": start + b"0\r\n" + b"X: y\r\n" * 300000,
                  "a size of many digits": start + b"0" * 1000000 + b"1\r\nx\r\n0\r\n\r\n",
                  "no size": start + b"\r\n" * 100000}, target.get("at", None))


def pipelined(target):
    """Reviews in piles of a thousand, read only in the end of each pile."""
    good = target.request(body(target.token))
    bad = target.request(b"{")
    lost = target.request(body(target.token), "/nowhere")
    pile = (good + bad + lost + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") * 250
    while not target.is_over():
        sock = target.connect()
        if sock is None:
            continue
        sent = target.send(sock, pile * 4)
        seen, data = 0, b""
        sock.settimeout(5)
        try:
            while sent and seen < 4000 and (data := sock.recv(1 << 20)):
                seen += data.count(b"HTTP/1.1 ")
        except OSError:
            pass
        target.ends["answered all" if seen >= 3990 else "ended"] += 1
        reset(sock)


def garbage(target):
    """What is no TLS: random bytes, HTTP in plain text, records that are empty, split by the byte or full of alerts."""
    hello = b"\x16\x03\x01"
    kinds = (target.dice.randbytes(4000), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", hello + b"\0\0" * 2000, hello + b"\x40\0" + b"\1" * 16384,
             b"\x15\x03\x01\0\2\1\0" * 1000, b"\x17\x03\x03\x40\x10" + b"x" * 16400, b"\x80\x2e\1\0\2" + b"\0" * 100,
             b"".join(b"\x16\x03\x01\0\1" + bytes([byte]) for byte in b"\1\0\xff\xff" + b"\3\3" + b"\0" * 3000))
    turn = 0
    while not target.is_over():
        sock = target.dial()
        if sock is not None:
            target.send(sock, kinds[turn % len(kinds)])
            target.hear(sock, 0.5)
        turn += 1


ATTACKS = {"http-2": http_2, "ambiguous": ambiguous, "odd-paths": odd_paths, "chunked": chunked, "pipelined": pipelined, "garbage": garbage}
