"""A caller of POST /validate, as kube-apiserver is one: AdmissionReviews, and what it makes of the answers."""

import json
from dataclasses import dataclass

from .caller import Caller, review_of, target
from .connection import Connection, Response

# As a configuration's listeners.admission: lib/webhook.py gives it an address.
LISTENER = {"tls": {"certFile": "tls/tls.crt", "keyFile": "tls/tls.key", "clientCAFile": "tls/client-ca.crt",
                    "clientNames": ["kube-apiserver"]}}
RBAC = "rbac.authorization.k8s.io"


def body(user, uid="uid-1", operation="CREATE", resource="configmaps", group="", subresource="", name="thing", namespace="default",
         obj=None, dry_run=False, **more):
    """A review as the API server writes it. user: of a login's answer."""
    info = {"username": user["username"], "uid": user.get("uid", ""),
            "groups": [*user.get("groups", []), "system:authenticated"], "extra": user.get("extra", {})}
    request = {"uid": uid, "kind": {"group": group, "version": "v1", "kind": "Thing"},
               "resource": {"group": group, "version": "v1", "resource": resource}, "operation": operation,
               "userInfo": info, "object": obj, "oldObject": None, "dryRun": dry_run, "options": None, **more}
    request.update({key: value for key, value in (("subResource", subresource), ("name", name), ("namespace", namespace)) if value})
    return json.dumps({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}).encode()


def binding(*subjects):
    """The arguments of body() for a ClusterRoleBinding that names these: ("Group", "corp:ops")."""
    named = [{"kind": kind, "apiGroup": RBAC, "name": name} for kind, name in subjects]
    obj = {"kind": "ClusterRoleBinding", "apiVersion": f"{RBAC}/v1", "metadata": {"name": "b"}, "subjects": named,
           "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"}}
    return {"resource": "clusterrolebindings", "group": RBAC, "namespace": "", "name": "b", "obj": obj}


@dataclass
class Answer:
    response: Response
    review: dict

    @property
    def verdict(self):
        """allow, deny or unavailable; a form that is none of the three fails."""
        answer = self.review["response"]
        assert set(answer) <= {"uid", "allowed", "status", "warnings", "auditAnnotations"}, self.review
        if answer["allowed"] is True:
            assert "status" not in answer, self.review
            return "allow"
        status = answer["status"]
        assert answer["allowed"] is False and status["message"].startswith("kube-introspect: "), self.review
        assert (status["code"], status["reason"]) in ((403, "Forbidden"), (503, "ServiceUnavailable")), self.review
        return "deny" if status["code"] == 403 else "unavailable"

    @property
    def message(self):
        return self.review["response"]["status"]["message"]

    @property
    def warnings(self):
        return self.review["response"].get("warnings", [])

    @property
    def annotations(self):
        return self.review["response"]["auditAnnotations"]


def answer_of(response, uid):
    review = review_of(response, "AdmissionReview", "admission.k8s.io/v1")
    assert review["response"]["uid"] == uid, f"expected the uid {uid}: {review}"
    return Answer(response, review)


class Validator(Caller):
    """A caller of the admission listener."""

    def connect(self):
        if self.connection is None:
            self.connection = Connection(self.webhook.admission_port, self.tls, record=self.webhook.record)
        return self.connection

    def validate(self, user, timeout="5s", uid="uid-1", **more):
        return self.validate_bytes(body(user, uid=uid, **more), uid, timeout)

    def validate_bytes(self, data, uid, timeout="5s"):
        return answer_of(self.post(data, target("/validate", timeout)), uid)

    def ask(self, user, timeout="5s", **more):
        """Asks and does not wait."""
        self.send(body(user, **more), target("/validate", timeout))

    def answered(self, uid="uid-1"):
        return answer_of(self.received(), uid)
