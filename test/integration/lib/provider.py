"""A scripted OAuth 2.0 provider over TLS: introspection and discovery, with any fault that a test asks for.

Requests are recorded in memory and never written anywhere: they hold tokens."""

import base64
import socket
import ssl
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote_plus

from . import ports, reply, sentinel, wait

INTROSPECTION = "/token/introspection"
DISCOVERY = "/.well-known/openid-configuration"


class Gone(Exception):
    """The peer has ended the connection, or the provider was stopped."""


@dataclass
class Request:
    method: str
    path: str
    headers: dict
    body: bytes
    connection: int
    client_name: str
    form: dict = field(default_factory=dict)

    @property
    def token(self):
        return self.form.get("token", "")

    def basic(self):
        """Client id and secret of the Authorization header, form-decoded as RFC 6749 section 2.3.1 has it; or None."""
        kind, _, value = self.headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic":
            return None
        name, _, secret = base64.b64decode(value).decode().partition(":")
        return unquote_plus(name), unquote_plus(secret)


class Exchange:
    """A request and the connection it came by, as replies see them."""

    def __init__(self, provider, sock, request):
        self.provider, self.socket, self.request = provider, sock, request
        self.closed = False

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (OSError, ssl.SSLError) as gone:
            raise Gone from gone

    def pause(self, seconds):
        """Waits; true when the provider is being stopped meanwhile."""
        return self.provider.stopping.wait(seconds)

    def wait_for_end(self, seconds=60):
        """Until the caller ends the connection, the provider is stopped, or the time is over; then it is closed."""
        self.socket.settimeout(0.05)
        deadline = time.monotonic() + seconds
        while not self.provider.stopping.is_set() and time.monotonic() < deadline:
            try:
                if not self.socket.recv(1):
                    break
            except TimeoutError:
                continue
            except (OSError, ssl.SSLError):
                break
        raise Gone

    def close(self, polite=True):
        self.closed = True
        if polite:
            try:
                self.socket.settimeout(0)  # says goodbye and does not wait for the answer
                self.socket.unwrap()
            except (OSError, ssl.SSLError, ValueError):
                pass
        self.socket.close()


class Provider:
    def __init__(self, certificates, certificate=None, client_id="kube-introspect", secrets=(sentinel.SECRET,)):
        self.certificates = certificates
        self.port = ports.free()
        self.url = f"https://localhost:{self.port}"
        self.client_id, self.secrets = client_id, set(secrets)
        self.method = "client_secret_basic"
        self.tokens = {}
        self.otherwise = reply.inactive()
        self.script = None  # a function of the request that gives a reply, before all else; or None
        self.discovery = None  # a reply instead of the right document
        self.idle_seconds = None  # connections are closed when nothing came for so long
        self.requests = []
        self.n_connections = self.n_handshakes_failed = 0
        self.n_at_once = self.max_at_once = 0
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.listener = None
        self.idle, self.open, self.ending = set(), set(), set()
        self.use_certificate(certificate or certificates.provider)
        self.start()

    # ---- what it presents and accepts

    def use_certificate(self, certificate, minimum=ssl.TLSVersion.TLSv1_2, maximum=ssl.TLSVersion.MAXIMUM_SUPPORTED):
        """For connections from now on."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version, context.maximum_version = minimum, maximum
        context.load_cert_chain(certificate.cert, certificate.key)
        context.load_verify_locations(self.certificates.provider_ca.cert)
        context.verify_mode = ssl.CERT_OPTIONAL
        self.context = context

    def knows(self, token, then):
        self.tokens[token] = then
        return token

    def issue(self, prefix="", **claims):
        """A new token that is active."""
        return self.knows(sentinel.token(prefix), reply.active(**claims))

    # ---- what it was asked

    def calls(self, token=None):
        """Introspections asked for: all, or of one token."""
        with self.lock:
            return [r for r in self.requests if r.path == INTROSPECTION and (token is None or r.token == token)]

    def n_calls(self, token=None):
        return len(self.calls(token))

    def n_discoveries(self):
        with self.lock:
            return sum(1 for r in self.requests if r.path == DISCOVERY)

    def wait_for_calls(self, n, token=None):
        wait.until(lambda: self.n_calls(token) >= n,
                   lambda: f"the provider has been called {n} times (seen: {self.n_calls(token)})")

    @contextmanager
    def holding(self, token, then=None):
        """The token's reply waits until the block ends or the event is set."""
        event = threading.Event()
        self.tokens[token] = reply.when(event, then or self.tokens.get(token) or reply.active())
        try:
            yield event
        finally:
            event.set()

    # ---- start and stop

    def start(self):
        """Listens on its port; after stop() on the same one again."""
        self.stopping = threading.Event()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(512)
        threading.Thread(target=self._accept, args=(self.listener, self.stopping), daemon=True).start()

    def stop(self):
        """Refuses connections and drops those that it has."""
        self.stopping.set()
        if self.listener is None:
            return
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.listener = None
        self._close(self.open)

    def close_idle(self):
        """Ends all connections that wait for a request, as providers do after some seconds. There must be one, or be one soon:
        a connection waits again a moment after its client has read the reply."""
        wait.until(lambda: self.idle, "a connection of the provider is idle")
        self._close(self.idle)
        wait.until(lambda: not self.idle, "the provider has closed its idle connections")

    def close_after_next_reply(self):
        """Each connection that is open now ends behind its next reply, whoever waits for none then."""
        with self.lock:
            self.ending |= self.open

    def _close(self, connections):
        with self.lock:
            sockets = list(connections)
        for sock in sockets:
            try:
                # The TCP socket's: a thread sits in recv() of the TLS one.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                pass

    # ---- connections

    def _accept(self, listener, stopping):
        while not stopping.is_set():
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock, stopping), daemon=True).start()

    def _serve(self, sock, stopping):
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(10 * wait.SLOWNESS)
            sock = self.context.wrap_socket(sock, server_side=True)
        except (OSError, ssl.SSLError):
            self.n_handshakes_failed += 1
            sock.close()
            return
        with self.lock:
            self.n_connections += 1
            number = self.n_connections
            self.open.add(sock)
        try:
            self._requests(sock, number, stopping)
        except (Gone, OSError, ssl.SSLError, ValueError):
            pass
        finally:
            with self.lock:
                self.open.discard(sock)
                self.idle.discard(sock)
            sock.close()

    def _requests(self, sock, number, stopping):
        pending = b""
        name = dict(pair for rdn in (sock.getpeercert() or {}).get("subject", ()) for pair in rdn).get("commonName", "")
        while not stopping.is_set():
            with self.lock:
                self.idle.add(sock)
            sock.settimeout(self.idle_seconds)
            request, pending = self._read(sock, pending, number, name)
            if request is None:
                return
            exchange = Exchange(self, sock, request)
            try:
                self._answer(exchange)
            finally:
                with self.lock:
                    self.n_at_once -= 1
            if sock in self.ending:
                self.ending.discard(sock)
                exchange.close()
            if exchange.closed:
                return

    def _read(self, sock, pending, number, name):
        try:
            while b"\r\n\r\n" not in pending:
                piece = sock.recv(65536)
                if not piece:
                    return None, b""
                pending += piece
        except TimeoutError:
            return None, b""
        with self.lock:
            self.idle.discard(sock)
        sock.settimeout(10 * wait.SLOWNESS)
        top, _, body = pending.partition(b"\r\n\r\n")
        first, *lines = top.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        while len(body) < length:
            piece = sock.recv(65536)
            if not piece:
                return None, b""
            body += piece
        request = Request(method, path, headers, body[:length], number, name)
        if method == "POST":
            request.form = {key: values[0] for key, values in
                            parse_qs(request.body.decode("latin-1"), keep_blank_values=True).items()}
        with self.lock:
            self.requests.append(request)
            self.n_at_once += 1
            self.max_at_once = max(self.max_at_once, self.n_at_once)
        return request, body[length:]

    # ---- what it says

    def _answer(self, exchange):
        request = exchange.request
        chosen = self.script(request) if self.script else None
        if chosen is None and request.path == DISCOVERY and request.method == "GET":
            chosen = self.discovery or reply.json(self.document())
        elif chosen is None and request.path == INTROSPECTION and request.method == "POST":
            chosen = self._introspect(request)
        (chosen or reply.plain(404, b"Not Found", "text/plain", reason="Not Found"))(exchange)

    def _introspect(self, request):
        if not self._knows_client(request):
            return reply.error(401, "invalid_client", reason="Unauthorized")
        return self.tokens.get(request.token, self.otherwise)

    def _knows_client(self, request):
        if self.method == "tls_client_auth":
            return request.client_name == self.client_id and request.form.get("client_id") == self.client_id
        if self.method == "client_secret_post":
            return request.form.get("client_id") == self.client_id and request.form.get("client_secret") in self.secrets
        given = request.basic()
        return given is not None and given[0] == self.client_id and given[1] in self.secrets

    def document(self, **changes):
        found = {"issuer": self.url, "introspection_endpoint": self.url + INTROSPECTION,
                 "token_endpoint": self.url + "/token", "jwks_uri": self.url + "/jwks",
                 "introspection_endpoint_auth_methods_supported": ["client_secret_basic"]}
        found.update(changes)
        return {name: value for name, value in found.items() if value is not None}
