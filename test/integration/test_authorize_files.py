"""Every request of test/data/authorizations, odd or hostile, and every SubjectAccessReview that a real kube-apiserver sent."""

import json

import pytest

from lib import authorizer, handle, paths
from lib.connection import request_bytes
from test_bad_requests import assert_status
from test_review_files import part

CHANGES = {"handle": handle.HANDLE}
CASES = sorted(paths.AUTHORIZATIONS.glob("*.json"))
RECORDED = sorted(paths.RECORDED_REVIEWS.glob("subjectaccessreview-*.json"))


def test_there_are_enough_of_them():
    assert len(CASES) >= 60 and len(RECORDED) >= 7


def reason_of(expected):
    """The users of these files are called corp:..., and no handle in them is one."""
    if not expected.get("user", "corp:").startswith("corp:"):
        return "not_ours"
    return {0: "handle_absent", 1: "handle_malformed"}.get(expected["handles"], "handle_doubled")


def too_large(webhook, data):
    """The status of a body that is refused before all of it was read."""
    with webhook.connect() as opened:
        try:
            opened.send(request_bytes("POST", "/authorize?timeout=3s", data))
        except OSError:
            pass
        return opened.response("POST").status


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_file(shared, path):
    case = json.loads(path.read_text())
    data = b"".join(map(part, case["body"]))
    post = lambda: shared.caller.post(data, "/authorize?timeout=3s")
    if len(data) > 2 * 1024 * 1024:
        assert too_large(shared.webhook, data) == 413
    elif case["expect"]["decode"] != "ok":
        assert_status(post(), 400)
    else:
        expected = case["expect"]["review"]
        response, record = shared.webhook.reason_of(post)
        version = authorizer.V1 if expected["version"] == "v1" else authorizer.V1BETA1
        verdict = authorizer.answer_of(response, version).verdict
        if path.stem != "user-1-mib":
            assert record["reason"] == reason_of(expected), f"{case['about']}: {record}"
        assert verdict == record["verdict"]
        asked = {name: expected[name] for name in ("group", "resource", "subresource", "namespace", "name", "path")
                 if expected.get(name)}
        assert record["request"] == {"verb": expected["verb"], **asked}
    shared.webhook.assert_alive()
    user = authorizer.login(shared.caller, shared.provider.issue())
    assert authorizer.authorize(shared.caller, user).verdict == "allow", f"after {path.name} a good review is not answered"


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded_review(shared, path):
    """Sent byte for byte as kube-apiserver sent it, its own header fields included: idp:alice is none of ours."""
    data = path.read_bytes()
    lines = path.with_suffix(".headers").read_text().split("\n\n")[0].splitlines()

    def send():
        with shared.webhook.connect() as opened:
            opened.send("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
            return opened.response("POST")

    response, record = shared.webhook.reason_of(send)
    assert authorizer.answer_of(response).verdict == "allow"
    asked = json.loads(data)["spec"]
    attributes = asked.get("resourceAttributes") or asked["nonResourceAttributes"]
    assert record["reason"] == "not_ours" and record["user"] == {"username": asked["user"], "uid": asked["uid"]}
    assert record["request"] == {name: value for name, value in attributes.items()
                                 if name not in ("version", "fieldSelector", "labelSelector")}


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded_review_of_a_user_of_ours(shared, path):
    """The same request, of somebody who logged in here: denied as soon as the handle is gone, and only then."""
    spec = json.loads(path.read_bytes())["spec"]
    attributes = {name: spec[name] for name in ("resourceAttributes", "nonResourceAttributes") if name in spec}
    user = authorizer.login(shared.caller, shared.provider.issue())
    assert authorizer.authorize(shared.caller, user, attributes=attributes).verdict == "allow"
    assert authorizer.authorize(shared.caller, authorizer.with_handles(user), attributes=attributes).verdict == "deny"


# ---- what is no review

@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "post"])
def test_another_method_is_not_allowed(shared, method):
    response = shared.caller.request(method, "/authorize", b"" if method == "GET" else authorizer.body("a"))
    assert "SubjectAccessReview" in assert_status(response, 405)["message"] and response.headers["allow"] == "POST"


def test_another_content_type_or_encoding_is_not_supported(shared):
    assert_status(shared.caller.post(authorizer.body("a"), "/authorize", content_type="text/plain"), 415)
    assert_status(shared.caller.post(authorizer.body("a"), "/authorize", headers=[("Content-Encoding", "gzip")]), 415)


def test_a_body_over_two_mebibytes_is_too_large(shared):
    assert_status(shared.caller.post(authorizer.body("a" * 2 * 1024 * 1024), "/authorize"), 413)


def test_each_route_refuses_the_others_reviews(shared):
    from lib.caller import body
    assert_status(shared.caller.post(body("t"), "/authorize"), 400)
    assert_status(shared.caller.post(authorizer.body("a"), "/authenticate"), 400)
