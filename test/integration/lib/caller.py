"""A caller of the webhook, as kube-apiserver is one: reviews of any kind, and TokenReviews above all, over kept-alive mutual TLS."""

import json
from dataclasses import dataclass

from .connection import Closed, Connection, Response, request_bytes

V1, V1BETA1 = "authentication.k8s.io/v1", "authentication.k8s.io/v1beta1"


def body(token, audiences=None, version=V1, **more):
    spec = {"token": token}
    if audiences is not None:
        spec["audiences"] = list(audiences)
    return json.dumps({"apiVersion": version, "kind": "TokenReview", "metadata": {"creationTimestamp": None},
                       "spec": spec, "status": {"user": {}}, **more}).encode()


@dataclass
class Answer:
    """A TokenReview that came back."""
    response: Response
    review: dict

    @property
    def status(self):
        return self.review["status"]

    @property
    def user(self):
        return self.status.get("user")

    @property
    def error(self):
        return self.status.get("error")

    @property
    def audiences(self):
        return self.status.get("audiences")

    @property
    def verdict(self):
        """allow, deny or unavailable, as the API server would take it; a form that is none of the three fails."""
        authenticated = self.status.get("authenticated", False)
        if authenticated is True:
            assert self.user and self.user.get("username"), f"authenticated without a user: {self.review}"
            assert not self.error, f"authenticated with an error: {self.review}"
            return "allow"
        assert authenticated is False, f"authenticated is no boolean: {self.review}"
        assert not self.user, f"refused, yet with a user: {self.review}"
        assert not self.audiences, f"refused, yet with audiences: {self.review}"
        if self.error is None:
            return "deny"
        assert isinstance(self.error, str) and self.error, f"an error that says nothing: {self.review}"
        return "unavailable"


def target(path, timeout=None):
    return path + (f"?timeout={timeout}" if timeout else "")


def review_of(response, kind, version):
    """The review of a response to a well-formed one, of whatever kind."""
    assert response.status == 200, f"expected HTTP 200 for a well-formed review, got {response.status}: {response.body[:300]!r}"
    assert response.headers.get("content-type", "").split(";")[0] == "application/json", response.headers
    review = json.loads(response.body)
    assert (review.get("kind"), review.get("apiVersion")) == (kind, version), f"expected a {kind} in {version}: {review}"
    return review


def answer_of(response, version=V1):
    review = review_of(response, "TokenReview", version)
    assert not review.get("spec", {}).get("token"), "the answer holds the token"
    return Answer(response, review)


class Caller:
    """Keeps one connection open, and opens another only when the server announced the end of the last one."""

    def __init__(self, webhook, tls=None):
        self.webhook, self.tls = webhook, tls or webhook.caller_tls()
        self.connection = None

    def connect(self):
        if self.connection is None:
            self.connection = Connection(self.webhook.port, self.tls, record=self.webhook.record)
        return self.connection

    def post(self, data, target="/authenticate", **more):
        return self.request("POST", target, data, **more)

    def request(self, method, target, data=b"", **more):
        try:
            response = self.connect().request(method, target, data, **more)
        except (Closed, OSError):
            self.close()
            raise
        if response.closes:
            self.close()
        return response

    def send(self, data, target):
        """Sends a review and does not wait: the response is fetched with received()."""
        self.connect().send(request_bytes("POST", target, data))

    def received(self):
        response = self.connect().response("POST")
        if response.closes:
            self.close()
        return response

    # ---- TokenReviews

    def review(self, token, audiences=None, version=V1, timeout=None):
        return answer_of(self.post(body(token, audiences, version), target("/authenticate", timeout)), version)

    def ask(self, token, audiences=None, version=V1, timeout=None):
        """Sends a review and does not wait: the answer is fetched with answer()."""
        self.send(body(token, audiences, version), target("/authenticate", timeout))

    def answer(self, version=V1):
        return answer_of(self.received(), version)

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None
