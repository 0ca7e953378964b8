"""HTTP/1.1 over TLS with every step in the test's hand."""

import socket
import ssl
import struct
from dataclasses import dataclass

from . import wait


class Closed(Exception):
    """The server ended the connection before the response was complete."""


@dataclass
class Response:
    status: int
    reason: str
    headers: dict
    body: bytes

    @property
    def closes(self):
        return self.headers.get("connection", "").lower() == "close"


def context(server_ca, certificate=None, minimum=ssl.TLSVersion.TLSv1_2, maximum=ssl.TLSVersion.MAXIMUM_SUPPORTED, alpn=None,
            weak=False):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(server_ca.cert)
    if weak:
        made.set_ciphers("ALL:@SECLEVEL=0")
    made.minimum_version, made.maximum_version = minimum, maximum
    if certificate:
        made.load_cert_chain(certificate.cert, certificate.key)
    if alpn:
        made.set_alpn_protocols(alpn)
    return made


def request_bytes(method, target, body=b"", headers=(), content_type="application/json"):
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost"]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
        if content_type:
            lines.append(f"Content-Type: {content_type}")
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


class Connection:
    def __init__(self, port, tls, seconds=15.0, record=None, handshake=True):
        self.record = record or (lambda response: None)
        self.pending = b""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=seconds * wait.SLOWNESS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.tls = tls
        if handshake:
            self.handshake()

    def handshake(self):
        try:
            self.socket = self.tls.wrap_socket(self.socket, server_hostname="localhost")
        except BaseException:
            self.socket.close()
            raise

    def start_handshake(self):
        """The first flight only: a ClientHello goes out, the answer is not read."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        half = self.tls.wrap_bio(incoming, outgoing, server_hostname="localhost")
        try:
            half.do_handshake()
        except ssl.SSLWantReadError:
            pass
        self.socket.sendall(outgoing.read())

    def send(self, data):
        self.socket.sendall(data)

    def request(self, method, target, body=b"", headers=(), content_type="application/json"):
        self.send(request_bytes(method, target, body, headers, content_type))
        return self.response(method)

    def _more(self):
        try:
            piece = self.socket.recv(65536)
        except TimeoutError:
            raise
        except (ssl.SSLError, OSError) as error:
            raise Closed(str(error)) from error
        if not piece:
            raise Closed("the server closed the connection")
        self.pending += piece

    def response(self, method="GET"):
        while b"\r\n\r\n" not in self.pending:
            self._more()
        top, _, self.pending = self.pending.partition(b"\r\n\r\n")
        first, *lines = top.decode("latin-1").split("\r\n")
        _, status, *reason = first.split(" ", 2)
        headers = {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        response = Response(int(status), " ".join(reason), headers, b"" if method == "HEAD" else self._body(headers))
        self.record(response)
        return response

    def _body(self, headers):
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks()
        if "content-length" in headers:
            return self._take(int(headers["content-length"]))
        while True:
            try:
                self._more()
            except Closed:
                return self._take(len(self.pending))

    def _take(self, n):
        while len(self.pending) < n:
            self._more()
        data, self.pending = self.pending[:n], self.pending[n:]
        return data

    def _chunks(self):
        data = b""
        while True:
            while b"\r\n" not in self.pending:
                self._more()
            size, _, self.pending = self.pending.partition(b"\r\n")
            piece = self._take(int(size.split(b";")[0], 16) + 2)[:-2]
            if not piece:
                return data
            data += piece

    def is_closed_by_server(self, seconds=5.0):
        """Waits for the server to end the connection; anything it says before is dropped."""
        self.socket.settimeout(seconds * wait.SLOWNESS)
        try:
            while self.socket.recv(65536):
                pass
        except TimeoutError:
            return False
        except (ssl.SSLError, OSError):
            pass
        return True

    def vanish(self):
        """Gone, by an RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def half_close(self):
        """We have said all that we wanted, TCP-wise; we still listen."""
        socket.socket.shutdown(self.socket, socket.SHUT_WR)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
