"""An answer arrives whole, whatever its size; one of the usual size in one TLS record, which is what makes it cheap."""

import json
import socket
import ssl

from lib import wait
from lib.caller import body
from lib.connection import request_bytes

PIECE = 8 * 1024  # up to here header and body are sent as one
RECORD_HEADER = 5


class Tapped:
    """A connection whose TLS records are counted on their way in."""

    def __init__(self, webhook):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = webhook.caller_tls().wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.socket = socket.create_connection(("127.0.0.1", webhook.port), timeout=15 * wait.SLOWNESS)
        self.begun, self.n_records = b"", 0
        self.through(self.tls.do_handshake)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def count(self, data):
        self.begun += data
        while len(self.begun) >= RECORD_HEADER:
            n_bytes = RECORD_HEADER + int.from_bytes(self.begun[3:RECORD_HEADER], "big")
            if len(self.begun) < n_bytes:
                break
            self.begun = self.begun[n_bytes:]
            self.n_records += 1

    def through(self, step, *arguments):
        """Takes a step of TLS, with as much from the other side as it needs."""
        while True:
            try:
                done = step(*arguments)
            except ssl.SSLWantReadError:
                done = None
            self.socket.sendall(self.outgoing.read())
            if done is not None or step == self.tls.do_handshake and self.tls.cipher():
                return done
            data = self.socket.recv(65536)
            assert data, "the webhook ended the connection"
            self.count(data)
            self.incoming.write(data)

    def exchange(self, data):
        """The body of the answer, and how many records brought it with its header."""
        self.through(self.tls.write, data)
        before, got = self.n_records, b""
        while b"\r\n\r\n" not in got:
            got += self.through(self.tls.read, 65536)
        header, _, got = got.partition(b"\r\n\r\n")
        n_bytes = int(header.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        while len(got) < n_bytes:
            got += self.through(self.tls.read, 65536)
        assert len(got) == n_bytes, got[n_bytes:]
        return got, self.n_records - before


def review(token):
    return request_bytes("POST", "/authenticate", body(token))


def user_with_an_answer_of(shared, n_bytes):
    """A token, and the groups that make its answer as large as that."""
    names = [f"{n:03d}" + "g" * 100 for n in range(n_bytes // 150)]
    usual = len(shared.caller.review(shared.provider.issue(groups=[*names, "filler"])).response.body)
    each, rest = divmod(n_bytes - usual, len(names))
    names = [name + "g" * (each + (1 if n < rest else 0)) for n, name in enumerate(names)]
    return shared.provider.issue(groups=[*names, "filler"]), names


def test_an_answer_of_the_usual_size_is_one_record(shared):
    token = shared.provider.issue()
    with Tapped(shared.webhook) as tapped:
        tapped.exchange(review(token))  # the tickets of the session come before it
        answer, n_records = tapped.exchange(review(token))
    assert json.loads(answer)["status"]["authenticated"] and n_records == 1, (n_records, answer)


def test_an_answer_of_any_size_is_whole(shared):
    for n_bytes in (PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 64 * 1024):
        token, names = user_with_an_answer_of(shared, n_bytes)
        with Tapped(shared.webhook) as tapped:
            tapped.exchange(review(token))
            answer, _ = tapped.exchange(review(token))
        assert len(answer) == n_bytes, (len(answer), n_bytes)
        groups = json.loads(answer)["status"]["user"]["groups"]
        assert [group.rpartition(":")[2] for group in groups[:-1]] == names


def test_a_head_has_no_body(shared):
    with Tapped(shared.webhook) as tapped:
        tapped.through(tapped.tls.write, request_bytes("HEAD", "/authenticate"))
        header = tapped.through(tapped.tls.read, 65536)
        assert header.startswith(b"HTTP/1.1 405 ") and header.endswith(b"\r\n\r\n"), header
        answer, _ = tapped.exchange(review(shared.provider.issue()))
    assert json.loads(answer)["status"]["authenticated"]
