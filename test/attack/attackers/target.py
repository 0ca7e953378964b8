"""What an attacker knows, opens and counts."""

import collections
import random
import socket
import ssl
import struct
import time

from lib import connection

AFTERWARDS = 0.05


class Target:
    """Where to attack, and how often each end was met."""

    def __init__(self, told):
        self.told = told
        self.port, self.token = told["port"], told["token"]
        self.deadline = time.monotonic() + told.get("seconds", 5)
        self.n_connections = self.n_bytes = 0
        self.ends = collections.Counter()
        self.tls = {}
        self.dice = random.Random(1)

    def __getitem__(self, name):
        return self.told[name]

    def get(self, name, otherwise):
        return self.told.get(name, otherwise)

    def report(self):
        return {"connections": self.n_connections, "bytes": self.n_bytes, "ends": self.ends}

    def is_over(self):
        return time.monotonic() >= self.deadline

    def left(self):
        return max(0.0, self.deadline - time.monotonic())

    def context(self, certificate="client"):
        if certificate not in self.tls:
            made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            made.load_verify_locations(self["server_ca"])
            if certificate:
                made.load_cert_chain(self["certificates"][certificate]["cert"], self["certificates"][certificate]["key"])
            self.tls[certificate] = made
        return self.tls[certificate]

    # ---- connections

    def dial(self, port=None, patience=10.0):
        """A TCP connection, or None where there was none to be had."""
        try:
            made = socket.create_connection(("127.0.0.1", port or self.port), timeout=patience)
        except TimeoutError:
            self.ends["no connection in time"] += 1
            return None
        except OSError as error:
            self.ends[f"no connection: {error.strerror}"] += 1
            return None
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.n_connections += 1
        return made

    def shake_hands(self, sock, certificate="client"):
        """TLS over it, or None where the server ended it."""
        try:
            return self.context(certificate).wrap_socket(sock, server_hostname="localhost")
        except TimeoutError:
            self.ends["silence"] += 1
        except (ssl.SSLError, OSError) as error:
            self.ends[word_of(error)] += 1
        sock.close()
        return None

    def connect(self, port=None, patience=10.0):
        """A connection that may ask: with the certificate, but to the operations port, which wants none."""
        made = self.dial(port, patience)
        if made is None or port == self["operations_port"]:
            return made
        return self.shake_hands(made)

    def start_handshake(self, sock, certificate=None):
        """The first flight only."""
        half = connection.Connection.__new__(connection.Connection)
        half.socket, half.tls = sock, self.context(certificate)
        half.start_handshake()

    def connect_many(self, n, port=None):
        """Some of n, as many as were to be had."""
        made = (self.connect(port) for _ in range(n) if not self.is_over())
        return [each for each in made if each is not None]

    def send(self, sock, data):
        """Whether all was taken."""
        try:
            sock.sendall(data)
        except (ssl.SSLError, OSError):
            return False
        self.n_bytes += len(data)
        return True

    # ---- ends

    def hear(self, sock, patience=5.0):
        """Waits for the end of a connection and counts it: the status of the last answer, or how it was closed."""
        word = hear(sock, patience)
        self.ends[word] += 1
        sock.close()
        return word

    def leave(self, sock, word="left"):
        """Gone by itself, by a reset."""
        self.ends[word] += 1
        reset(sock)

    def settle(self, sockets):
        """All that are still open: what the server has said to them by now, and gone."""
        for sock in sockets:
            word = hear(sock, 0.001)
            self.ends["left open, left" if word == "silence" else word] += 1
            reset(sock)

    def request(self, body=b"", path="/authenticate", head=()):
        return connection.request_bytes("POST", path, body, head)


def word_of(error):
    """How a connection ended, in a word or two."""
    if isinstance(error, ssl.SSLEOFError) or isinstance(error, ssl.SSLZeroReturnError):
        return "closed"
    if isinstance(error, ssl.SSLError):
        return (error.reason or "closed").lower().replace("_", " ")
    return "closed" if isinstance(error, BrokenPipeError) else "reset"


def hear(sock, patience):
    """The status of the last answer that came before the end, "closed", "reset", an alert, or "silence"."""
    sock.settimeout(patience)
    data, word = b"", "closed"
    try:
        while piece := sock.recv(65536):
            data = data[-16:] + piece  # a status line that was cut in two is found as well
            at = data.rfind(b"HTTP/1.1 ")
            if at >= 0 and len(data) >= at + 12:
                word = data[at + 9:at + 12].decode("latin-1")
                sock.settimeout(min(patience, AFTERWARDS))  # an answer is all there is to hear, unless more follow it
    except (TimeoutError, ssl.SSLWantReadError, BlockingIOError):
        word = "silence" if word == "closed" else word
    except (ssl.SSLError, OSError) as error:
        word = word_of(error) if word == "closed" else word
    return word


def answer(sock):
    """The status of one answer, read to its end; or how the connection ended before."""
    reader = connection.Connection.__new__(connection.Connection)
    reader.socket, reader.pending, reader.record = sock, b"", lambda response: None
    try:
        return str(reader.response("POST").status)
    except TimeoutError:
        return "silence"
    except connection.Closed as closed:
        return "closed" if isinstance(closed.__cause__, (type(None), BrokenPipeError)) else word_of(closed.__cause__)


def reset(sock):
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass
    sock.close()
