"""An answer arrives whole, whatever its size; one of the usual size in one TLS record, which is what makes it cheap."""

import json
import ssl

from lib.caller import body

PIECE = 8 * 1024  # up to here header and body are sent as one
RECORD_HEADER = 5


class Tapped:
    """The TLS of a connection, in the place of its socket: the records that come in are counted."""

    def __init__(self, plain, tls):
        self.plain, self.begun, self.n_records = plain, b"", 0
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = tls.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self._through(self.tls.do_handshake)

    def sendall(self, data):
        self._through(self.tls.write, data)

    def recv(self, n_bytes):
        return self._through(self.tls.read, n_bytes)

    def close(self):
        self.plain.close()

    def _through(self, step, *arguments):
        """Takes a step of TLS, with as much from the other side as it needs."""
        while True:
            try:
                return step(*arguments)
            except ssl.SSLWantReadError:
                pass
            finally:
                self.plain.sendall(self.outgoing.read())
            data = self.plain.recv(65536)
            assert data, "the webhook ended the connection"
            self._count(data)
            self.incoming.write(data)

    def _count(self, data):
        self.begun += data
        while len(self.begun) >= RECORD_HEADER:
            n_bytes = RECORD_HEADER + int.from_bytes(self.begun[3:RECORD_HEADER], "big")
            if len(self.begun) < n_bytes:
                break
            self.begun = self.begun[n_bytes:]
            self.n_records += 1


def tapped_connection(shared):
    opened = shared.webhook.connect(handshake=False)
    opened.socket = Tapped(opened.socket, opened.tls)
    return opened


def answer(opened, token):
    """The answer's bytes, and how many records brought them with their header."""
    before = opened.socket.n_records
    response = opened.request("POST", "/authenticate", body(token))
    assert response.status == 200 and not opened.pending, (response, opened.pending)
    return response.body, opened.socket.n_records - before


def second_answer(shared, token):
    """On a connection of its own; the tickets of the session come before the first."""
    with tapped_connection(shared) as opened:
        answer(opened, token)
        return answer(opened, token)


def user_with_an_answer_of(shared, n_bytes):
    """A token, and the groups that make its answer as large as that."""
    names = [f"{n:03d}" + "g" * 100 for n in range(n_bytes // 150)]
    usual = len(shared.caller.review(shared.provider.issue(groups=[*names, "filler"])).response.body)
    each, rest = divmod(n_bytes - usual, len(names))
    names = [name + "g" * (each + (1 if n < rest else 0)) for n, name in enumerate(names)]
    return shared.provider.issue(groups=[*names, "filler"]), names


def test_an_answer_of_the_usual_size_is_one_record(shared):
    data, n_records = second_answer(shared, shared.provider.issue())
    assert json.loads(data)["status"]["authenticated"] and n_records == 1, (n_records, data)


def test_an_answer_of_any_size_is_whole(shared):
    for n_bytes in (PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 64 * 1024):
        token, names = user_with_an_answer_of(shared, n_bytes)
        data, _ = second_answer(shared, token)
        assert len(data) == n_bytes, (len(data), n_bytes)
        groups = json.loads(data)["status"]["user"]["groups"]
        assert [group.rpartition(":")[2] for group in groups[:-1]] == names


def test_a_head_has_no_body(shared):
    with tapped_connection(shared) as opened:
        assert opened.request("HEAD", "/authenticate").status == 405 and not opened.pending, opened.pending
        data, _ = answer(opened, shared.provider.issue())
    assert json.loads(data)["status"]["authenticated"]
