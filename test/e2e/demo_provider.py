"""The demo OpenID provider (hack/provider) as a process, and the ways to get tokens from it."""

import base64
import hashlib
import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import time
from urllib.parse import parse_qs, quote_plus, urlencode, urlsplit

from lib import paths, sentinel, wait

OPAQUE = "https://kubernetes.demo"
JWT = "https://kubernetes.demo/jwt"
ELSEWHERE = "https://elsewhere.demo"
CALLBACK = "http://127.0.0.1:1/callback"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"

KUBECTL = ("kubectl", "kubectl-secret")
DEPLOYER = ("deployer", "deployer-secret")


class Client:
    """A resource server as hack/provider/clients.mjs has it: what the webhook calls itself at the provider."""

    def __init__(self, id, method, secret=None):
        self.id, self.method, self.secret = id, method, secret and sentinel.remember(secret)


CROWD = [f"user-{number:03d}" for number in range(200)]

BASIC = Client("kube-introspect", "client_secret_basic", "Vd3kPz7mQx1sTb9w")
POST = Client("kube-introspect-post", "client_secret_post", "Hn5cRy2fLg8uWj4e")
TLS = Client("kube-introspect-tls", "tls_client_auth")
ODD = Client("kube introspect:odd", "client_secret_basic", "p@ss:w%rd+&=/ Xt6bMq")


class Browser:
    """Follows the provider's redirects, keeps its cookies and fills in its login page."""

    def __init__(self, provider, user):
        self.provider, self.user = provider, user
        self.cookies = {}

    def request(self, method, url, form=None):
        path = urlsplit(url)
        target = path.path + (f"?{path.query}" if path.query else "")
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        response = self.provider.request(method, target, form, headers={"Cookie": cookies} if cookies else {})
        for line in response.headers.get_all("Set-Cookie") or []:
            name, _, value = line.split(";")[0].partition("=")
            if value:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        return response

    def follow(self, response):
        """Until there is no more redirect, or one that leaves the provider; gives the last response and its Location."""
        for _ in range(10):
            location = response.headers.get("Location")
            if not location or location.startswith(CALLBACK):
                return response, location
            if "/login/" in location:
                response = self.request("POST", location, {"username": self.user, "password": self.user})
            else:
                response = self.request("GET", location)
        raise AssertionError("the provider redirects for ever")


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self, status=200):
        assert self.status == status, f"the provider answers {self.status}: {self.body[:300]}"
        return json.loads(self.body)


class DemoProvider:
    """hack/provider/start.sh, running."""

    host = "localhost"

    def __init__(self, folder, certificates, token_ttl=600):
        self.folder, self.certificates, self.token_ttl = folder, certificates, token_ttl
        self.log = folder / "provider.log"
        self.process, self.port = None, 0
        folder.mkdir(parents=True)
        self.start()

    # ---- the process

    def start(self):
        """On any free port; after a stop() on the same one."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [paths.ROOT / "hack" / "provider" / "start.sh", "--certs", self.certificates.folder, "--port", str(self.port),
                 "--token-ttl", str(self.token_ttl), "--exit-with-parent"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        assert line, f"the provider did not start: {self.log.read_text()}"
        ready = json.loads(line)
        self.port, self.url = ready["port"], ready["issuer"]

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(10 * wait.SLOWNESS)
        self.process.stdin.close()
        self.process.stdout.close()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    # ---- requests

    def request(self, method, target, form=None, headers=(), basic=None, certificate=None, body=None):
        context = ssl.create_default_context(cafile=self.certificates.provider_ca.cert)
        if certificate:
            context.load_cert_chain(certificate.cert, certificate.key)
        headers = dict(headers)
        if form is not None:
            body = urlencode(form)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        if basic:
            pair = ":".join(quote_plus(part) for part in basic)
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        connection = http.client.HTTPSConnection(self.host, self.port, context=context, timeout=15 * wait.SLOWNESS)
        try:
            connection.request(method, target, body, headers)
            response = connection.getresponse()
            return Response(response.status, response.headers, response.read().decode())
        finally:
            connection.close()

    def _tokens(self, form, basic=None, **more):
        answer = self.request("POST", "/token", form, basic=basic, **more).json()
        for name in ("access_token", "refresh_token", "id_token"):
            if name in answer:
                sentinel.remember(answer[name])
        return answer

    # ---- tokens of users

    def password(self, user="alice", resource=OPAQUE):
        """An access token by the password grant."""
        form = {"grant_type": "password", "username": user, "password": user}
        return self._tokens({**form, "resource": resource} if resource else form, KUBECTL)["access_token"]

    def code_flow(self, user="alice", resource=OPAQUE):
        """All that the authorization code flow gives: access_token, refresh_token, id_token."""
        query = {"client_id": KUBECTL[0], "response_type": "code", "redirect_uri": CALLBACK, "prompt": "consent",
                 "scope": "openid profile groups offline_access kubernetes", "resource": resource, "state": "s", "nonce": "n"}
        browser = Browser(self, user)
        response, location = browser.follow(browser.request("GET", "/auth?" + urlencode(query)))
        assert location, f"the login ended at the provider: {response.status} {response.body[:300]}"
        code = parse_qs(urlsplit(location).query)["code"][0]
        return self._tokens({"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}, KUBECTL)

    def refresh(self, refresh_token):
        return self._tokens({"grant_type": "refresh_token", "refresh_token": refresh_token}, KUBECTL)["access_token"]

    def device_flow(self, user="alice", resource=OPAQUE):
        """An access token by the device flow (RFC 8628), confirmed in a browser."""
        device = self.request("POST", "/device/auth", {"scope": "openid kubernetes", "resource": resource}, basic=KUBECTL).json()
        browser = Browser(self, user)
        code = device["user_code"]
        first = browser.request("GET", f"/device?user_code={code}")
        second = browser.request("POST", "/device", {"xsrf": _xsrf(first), "user_code": code})
        last = browser.request("POST", "/device", {"xsrf": _xsrf(second), "user_code": code, "confirm": "yes"})
        browser.follow(last)
        return self._tokens({"grant_type": DEVICE_CODE, "device_code": device["device_code"]}, KUBECTL)["access_token"]

    # ---- tokens of programs

    def client_credentials(self, resource=OPAQUE):
        return self._tokens({"grant_type": "client_credentials", "resource": resource}, DEPLOYER)["access_token"]

    def certificate_bound(self, resource=OPAQUE):
        """RFC 8705."""
        return self._tokens({"grant_type": "client_credentials", "client_id": "deployer-tls", "resource": resource},
                            certificate=self.certificates.provider_client)["access_token"]

    def key_bound(self, resource=OPAQUE):
        """RFC 9449 (DPoP)."""
        proof = dpop_proof(self.folder / "dpop.key", "POST", self.url + "/token")
        answer = self._tokens({"grant_type": "client_credentials", "resource": resource}, DEPLOYER, headers={"DPoP": proof})
        assert answer["token_type"] == "DPoP"
        return answer["access_token"]

    # ---- what an administrator does

    def set_groups(self, user, groups):
        self.request("PUT", f"/demo/groups/{user}", body=json.dumps(groups)).json()

    def set_secret(self, client, secret):
        self.request("PUT", f"/demo/secret/{client.id}", body=secret).json()

    def revoke(self, token):
        response = self.request("POST", "/token/revocation", {"token": token}, basic=KUBECTL)
        assert response.status == 200, response.body

    def introspect(self, token):
        """What the provider itself says, asked as a resource server."""
        return self.request("POST", "/token/introspection", {"token": token}, basic=(BASIC.id, BASIC.secret)).json()


def _xsrf(page):
    found = re.search(r'name="xsrf" value="([^"]+)"', page.body)
    assert found, f"no form in: {page.status} {page.body[:300]}"
    return found[1]


def _base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _openssl(*arguments, data=None):
    return subprocess.run(["openssl", *map(str, arguments)], input=data, capture_output=True, check=True).stdout


def _integer(der, at):
    """A DER integer as 32 bytes, and where the next one begins."""
    length = der[at + 1]
    return int.from_bytes(der[at + 2:at + 2 + length], "big").to_bytes(32, "big"), at + 2 + length


def dpop_proof(key, method, url):
    """An ES256 proof of possession for a token request."""
    if not key.exists():
        _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
    point = _openssl("ec", "-in", key, "-pubout", "-outform", "DER")[-64:]
    header = {"typ": "dpop+jwt", "alg": "ES256",
              "jwk": {"kty": "EC", "crv": "P-256", "x": _base64url(point[:32]), "y": _base64url(point[32:])}}
    claims = {"jti": _base64url(os.urandom(16)), "htm": method, "htu": url, "iat": int(time.time())}
    signed = ".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
    der = _openssl("dgst", "-sha256", "-sign", key, data=signed.encode())
    r, next_one = _integer(der, 2)
    s, _ = _integer(der, next_one)
    return f"{signed}.{_base64url(r + s)}"
