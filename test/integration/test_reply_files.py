"""Every reply of test/data/replies, served to the real program: a broken one is never ALLOW, a provider's fault never a no, and
the process answers the next login as if nothing had been."""

import base64
import gzip
import json

import pytest

from lib import paths, reply, sentinel
from lib.provider import INTROSPECTION

ISSUER = {
    "tokens": {"clientIDs": ["kubectl"]},
    "introspection": {"absentTokenType": "Refuse", "timeout": "1s", "breaker": {"minimumCalls": 10000}},
    "claimMappings": {"username": {"claim": "preferred_username", "prefix": ""}, "groups": {"claim": "groups", "prefix": ""}},
}
CHANGES = {"log": {"level": "info"}}
CASES = sorted(paths.REPLIES.glob("*.json"))


def joined(case, name):
    if name in case:
        return case[name].encode()
    if name + "_base64" in case:
        return base64.b64decode(case[name + "_base64"])
    return b"".join(part["text"].encode() * part["times"] for part in case.get(name + "_parts", []))


def head_of(case, framing, provider):
    headers = [(key, value.replace("{provider}", provider.url)) for key, value in case.get("headers", {}).items()]
    return reply.head(case["status"], "X", [*headers, *framing])


def whole(case, provider, body, announced=None):
    """Head and body as bytes, framed as the case wants it, and whether the end of the connection ends it."""
    framing = case.get("framing", "length")
    if framing == "chunked":
        chunks = b"".join(b"%x\r\n" % len(body[at:at + 16384]) + body[at:at + 16384] + b"\r\n" for at in range(0, len(body), 16384))
        return head_of(case, [("Transfer-Encoding", "chunked")], provider), chunks + b"0\r\n\r\n", False
    if framing == "close":
        return head_of(case, [], provider), body, True
    return head_of(case, [("Content-Length", str(len(body) if announced is None else announced))], provider), body, False


def scripts(case, provider):
    """What the provider does, as replies of lib/reply.py: one, or one for each length of the body."""
    behaviour = case.get("behaviour", {})
    kind = behaviour.get("kind")
    if "raw" in case or "raw_parts" in case:
        return [held(joined(case, "raw"), behaviour) if kind == "hold" else reply.raw(joined(case, "raw"))]
    body = joined(case, "body")
    if case.get("compress") == "gzip":
        body = gzip.compress(body, 9)
    if kind == "truncate_each_body_byte":
        return [sent(*whole(case, provider, body[:n])) for n in range(len(body))]
    if kind == "close_after_each_body_byte":
        return [cut_off(*whole(case, provider, body), n, "close") for n in range(len(body))]
    if kind in ("close_after_body_bytes", "reset_after_body_bytes"):
        return [cut_off(*whole(case, provider, body), behaviour["n_bytes"], kind.split("_")[0])]
    head, data, closes = whole(case, provider, body)
    made = {None: lambda: sent(head, data, closes),
            "hang": lambda: held(b"", behaviour),
            "delay": lambda: reply.after(behaviour["delay_ms"] / 1000, sent(head, data, closes)),
            "drip": lambda: dripping(head, data, behaviour["interval_ms"] / 1000),
            "stop_after_head": lambda: held(head, behaviour),
            "close_before": reply.hang_up,
            "reset_before": reply.reset}
    return [made[kind]()]


def sent(head, data, closes):
    def act(exchange):
        exchange.send(head + data)
        if closes:
            exchange.close()

    return act


def cut_off(head, data, _, n, how):
    def act(exchange):
        exchange.send(head + data[:n])
        (reply.reset() if how == "reset" else reply.hang_up())(exchange)

    return act


def held(data, behaviour):
    """What comes, then nothing: until the webhook has hung up, or the time of the case is over."""

    def act(exchange):
        exchange.send(data)
        exchange.wait_for_end(behaviour["hold_ms"] / 1000)

    return act


def dripping(head, data, interval):
    def act(exchange):
        exchange.send(head)
        for at in range(len(data)):
            if exchange.pause(interval):
                return
            exchange.send(data[at:at + 1])

    return act


def expected(case):
    listed = case["expect"] if isinstance(case["expect"], list) else [case["expect"]]
    return {(entry["verdict"].lower(), entry["reason"]) for entry in listed}


def control(provider):
    return scripts(json.loads((paths.REPLIES / "control-active.json").read_text()), provider)[0]


def test_there_are_at_least_sixty_replies_and_each_has_its_own_name():
    assert len(CASES) >= 60
    for path in CASES:
        assert json.loads(path.read_text())["name"] == path.stem


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_reply(shared, path):
    case = json.loads(path.read_text())
    wanted = expected(case)
    for number, script in enumerate(scripts(case, shared.provider)):
        token = shared.provider.knows(sentinel.token(), script)
        answer, record = shared.webhook.reason_of(lambda: shared.caller.review(token, timeout="10s"))
        if record["reason"] == "provider_timeout" and (answer.verdict, record["reason"]) not in wanted:
            token = shared.provider.knows(sentinel.token(), script)  # of hundreds, one may meet a busy moment
            answer, record = shared.webhook.reason_of(lambda: shared.caller.review(token, timeout="10s"))
        got = (answer.verdict, record["reason"])
        assert got in wanted, (f"{path.name}{f', number {number}' if number else ''}: {case['about']} expected {sorted(wanted)}, "
                               f"got {got}; log {shared.webhook.log}")
        assert record["verdict"] == answer.verdict
    shared.webhook.assert_alive()

    def is_good():
        token = shared.provider.knows(sentinel.token(), control(shared.provider))
        return shared.caller.review(token).verdict == "allow"

    assert is_good() or is_good(), f"after {path.name} a good reply is not allowed; log {shared.webhook.log}"


def test_the_webhook_followed_no_redirect(shared):
    assert {request.path for request in shared.provider.requests} <= {INTROSPECTION}
