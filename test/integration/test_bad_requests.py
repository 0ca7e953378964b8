"""What is no review gets 4xx with a Status object, and never a verdict."""

import json

import pytest

from lib import sentinel
from lib.caller import body

REASONS = {400: "BadRequest", 404: "NotFound", 405: "MethodNotAllowed", 413: "RequestEntityTooLarge", 415: "UnsupportedMediaType"}


def assert_status(response, code):
    assert response.status == code, f"expected {code}, got {response.status}: {response.body[:200]!r}"
    assert response.headers["content-type"].startswith("application/json")
    status = json.loads(response.body)
    assert (status["kind"], status["apiVersion"], status["status"]) == ("Status", "v1", "Failure")
    assert status["code"] == code and status["reason"] == REASONS[code]
    assert status["message"], "a Status without a message"
    return status


@pytest.mark.parametrize("path", [
    "/", "/authenticate/", "/authenticatex", "/Authenticate", "/authorize/", "/authorizex", "/Authorize", "/validate", "//authenticate", "/%61uthenticate",
    "/authenticate/../authenticate", "/metrics", "/readyz", "/livez"])
def test_another_path_is_not_found(shared, path):
    assert_status(shared.caller.post(body("t"), path), 404)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "post"])
def test_another_method_is_not_allowed_and_told_which_is(shared, method):
    response = shared.caller.request(method, "/authenticate", body("t") if method not in ("GET",) else b"")
    assert_status(response, 405)
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx",
                                  "application/vnd.kubernetes.protobuf", "", None])
def test_another_content_type_is_not_supported(shared, kind):
    assert_status(shared.caller.post(body("t"), content_type=kind), 415)


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_in_all_its_writings_is_supported(shared, kind):
    assert shared.caller.post(body(shared.provider.issue()), content_type=kind).status == 200


def test_a_compressed_body_is_not_supported(shared):
    assert_status(shared.caller.post(body("t"), headers=[("Content-Encoding", "gzip")]), 415)


def test_a_body_over_two_mebibytes_is_too_large(shared):
    assert_status(shared.caller.post(body("t", padding="x" * (2 * 1024 * 1024))), 413)


def test_a_body_just_under_two_mebibytes_is_read(shared):
    token = shared.provider.issue()
    padding = "x" * (2 * 1024 * 1024 - len(body(token, padding="")))
    assert shared.caller.post(body(token, padding=padding)).status == 200


def test_an_endless_body_is_cut_off(shared):
    with shared.webhook.connect() as connection:
        connection.send(b"POST /authenticate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                        b"Content-Length: 9000000000\r\n\r\n")
        assert connection.response("POST").status == 413


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"{}", b'"a"', b"\xff\xfe", b'{"kind":"TokenReview"}', b"\0" * 10,
                                  b"[" * 5000], ids=lambda data: repr(data[:20]))
def test_no_json_object_with_a_review_is_a_bad_request(shared, data):
    status = assert_status(shared.caller.post(data), 400)
    assert len(status["message"]) < 500


def test_a_message_never_quotes_what_was_sent(shared):
    word = sentinel.SENTINEL
    for data in (b'{"kind":"TokenReview","spec":{"token":"' + word.encode(), body(word, version=word)):
        assert word[:8].encode() not in shared.caller.post(data).body


def test_the_caller_is_answered_again_after_a_bad_request(shared):
    assert_status(shared.caller.post(b"{"), 400)
    assert shared.caller.review(shared.provider.issue()).verdict == "allow"


def test_a_bad_request_is_counted_and_is_no_review(shared):
    before = shared.webhook.metrics()
    for target, data in (("/authenticate", b"{"), ("/nowhere", body("t"))):
        shared.caller.post(data, target)
    after = shared.webhook.metrics()
    name = "kube_introspect_bad_requests_total"
    for status in ("400", "404"):
        assert after.value(name, code=status) == (before.value(name, code=status) or 0) + 1
    assert after.value("kube_introspect_reviews_total") == before.value("kube_introspect_reviews_total")


def test_no_bad_request_ever_reached_the_provider(shared):
    assert "t" not in {request.token for request in shared.provider.calls()}
