"""Every request of test/data/reviews, malformed or hostile, and every one that a real kube-apiserver sent: each gets the answer
that its file names, and the program answers the next caller."""

import base64
import json

import pytest

from lib import paths, reply
from lib.caller import V1, V1BETA1, answer_of

CASES = sorted(paths.REVIEWS.glob("*.json"))
RECORDED = sorted(paths.RECORDED_REVIEWS.glob("tokenreview-*.json"))


def part(piece):
    if isinstance(piece, str):
        return piece.encode()
    if "base64" in piece:
        return base64.b64decode(piece["base64"])
    if piece.get("numbered"):
        return "".join(piece["text"].replace("#", str(n)) for n in range(piece["repeat"])).encode()
    return piece["text"].encode() * piece["repeat"]


def head(request, framing):
    lines = [f"{request['method']} {request['path']} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in [*request["headers"].items(), *framing]]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def send(opened, request):
    body = b"".join(map(part, request["body"]))
    kind = request["framing"]
    if kind in ("chunked", "chunked-bytes"):
        size = 1 if kind == "chunked-bytes" else 65536
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(body[at:at + size]), body[at:at + size]) for at in range(0, len(body), size))
        opened.send(head(request, [("Transfer-Encoding", "chunked")]) + chunks + b"0\r\n\r\n")
    elif kind == "none":
        opened.send(head(request, []))
    elif kind == "expect":
        opened.send(head(request, [("Content-Length", str(len(body)))]))
        assert opened.response("HEAD").status == 100
        opened.send(body)
    else:
        opened.send(head(request, [("Content-Length", str(len(body)))]) + body)


def exchange(webhook, request):
    with webhook.connect() as opened:
        try:
            send(opened, request)
        except OSError:
            pass  # answered and closed before all was read: the answer is there all the same
        return opened.response(request["method"])


def assert_status_object(response, expect):
    if expect.get("status_object") is False:
        return
    if expect.get("no_body"):
        assert response.body == b""
        return
    status = json.loads(response.body)
    assert status["kind"] == "Status" and status["code"] == expect["code"], status


def test_there_are_at_least_sixty_reviews():
    assert len(CASES) >= 60 and len(RECORDED) >= 5


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_review(shared, path):
    case = json.loads(path.read_text())
    expect = case["expect"]
    n_lines = shared.webhook.wait_records(shared.webhook.n_verdicts)
    response = exchange(shared.webhook, case["request"])
    assert response.status == expect["code"], (f"{path.name}: {case['about']}: expected {expect['code']}, got {response.status}: "
                                               f"{response.body[:200]!r}; log {shared.webhook.log}")
    for name, value in expect.get("answer_headers", {}).items():
        assert response.headers.get(name.lower()) == value
    if expect["code"] == 200:
        answer = answer_of(response, V1BETA1 if expect.get("review", {}).get("version") == "v1beta1" else V1)
        assert (answer.verdict == "allow") == expect["authenticated"] and answer.error is None, answer.review
        shared.webhook.wait_records(n_lines + 1)
        assert shared.webhook.audit_tail.found[n_lines]["reason"] == expect["reason"]
    else:
        assert_status_object(response, expect)
    shared.webhook.assert_alive()
    assert shared.caller.review(shared.provider.issue()).verdict == "allow", f"after {path.name} a good review is not answered"


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded_review(shared, path):
    """Sent byte for byte as kube-apiserver sent it, its own header fields included."""
    data = path.read_bytes()
    lines = path.with_suffix(".headers").read_text().split("\n\n")[0].splitlines()
    asked = json.loads(data)
    foreign = asked["spec"]["token"].count(".") == 2
    shared.provider.knows(asked["spec"]["token"], reply.active())
    with shared.webhook.connect() as opened:
        opened.send("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
        answer = answer_of(opened.response("POST"), asked["apiVersion"])
        assert answer.verdict == ("deny" if foreign else "allow")
        again = opened.request("POST", "/authenticate?timeout=30s", data)
        assert answer_of(again, asked["apiVersion"]).verdict == answer.verdict
    assert shared.provider.n_calls(asked["spec"]["token"]) == (0 if foreign else 1)
