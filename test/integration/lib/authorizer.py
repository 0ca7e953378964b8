"""A caller of POST /authorize, as kube-apiserver is one: SubjectAccessReviews, and what it makes of the answers."""

import json
from dataclasses import dataclass

from . import handle
from .caller import review_of, target
from .connection import Response

V1, V1BETA1 = "authorization.k8s.io/v1", "authorization.k8s.io/v1beta1"
LIST = {"resourceAttributes": {"verb": "list", "version": "v1", "resource": "configmaps", "namespace": "default"}}


def body(username, uid="", extra=None, attributes=None, version=V1):
    """A review as the API server writes it."""
    spec = {**(attributes or LIST), "user": username, "groups" if version == V1 else "group": ["system:authenticated"]}
    if extra:
        spec["extra"] = extra
    if uid:
        spec["uid"] = uid
    return json.dumps({"kind": "SubjectAccessReview", "apiVersion": version, "metadata": {}, "spec": spec,
                       "status": {"allowed": False}}).encode()


def body_of(user, **more):
    """The review of a request by the user of a login's answer."""
    return body(user["username"], user.get("uid", ""), user.get("extra"), **more)


@dataclass
class Answer:
    response: Response
    review: dict

    @property
    def status(self):
        return self.review["status"]

    @property
    def reason(self):
        return self.status.get("reason")

    @property
    def error(self):
        return self.status.get("evaluationError")

    @property
    def verdict(self):
        """allow (no opinion), deny or unavailable; a form that is none of the three fails, and so does every "allowed"."""
        assert self.status["allowed"] is False, f"something was allowed: {self.review}"
        assert set(self.status) <= {"allowed", "denied", "reason", "evaluationError"}, self.review
        if "denied" not in self.status:
            assert self.reason is None and self.error is None, f"no opinion, and yet a reason: {self.review}"
            return "allow"
        assert self.status["denied"] is True and self.reason.startswith("kube-introspect: "), self.review
        return "deny" if self.error is None else "unavailable"


def answer_of(response, version=V1):
    review = review_of(response, "SubjectAccessReview", version)
    assert review.get("spec") == {}, "the answer repeats what was asked"
    return Answer(response, review)


def authorize(caller, user, timeout="10s", version=V1, **more):
    """Asks about a request of the user of a login's answer."""
    return answer_of(caller.post(body_of(user, version=version, **more), target("/authorize", timeout)), version)


def ask(caller, user, timeout="10s"):
    """Asks and does not wait."""
    caller.send(body_of(user), target("/authorize", timeout))


def answer(caller):
    return answer_of(caller.received())


def login(caller, token):
    """The user of a token, who must be let in with a handle."""
    got = caller.review(token)
    assert got.verdict == "allow", got.review
    assert len(got.user["extra"][handle.KEY]) == 1, got.user
    return got.user


def handle_of(user):
    return user["extra"][handle.KEY][0]


def with_handles(user, *handles):
    """The same user, showing other handles; none: without that key."""
    extra = {name: values for name, values in user["extra"].items() if name != handle.KEY}
    return {**user, "extra": {**extra, handle.KEY: list(handles)} if handles else extra}
