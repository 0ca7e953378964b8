"""Everything at once: a provider with every fault, callers who lose patience or vanish, reloads, and at last the end in the midst
of it. Whatever happens, nobody is taken for another, no token that is good is refused and none that is not is let in."""

import itertools
import json
import random
import threading
import time

from lib import authorizer, configuration, handle, reply, sentinel, wait
from lib.caller import body
from lib.connection import Closed, request_bytes

SECONDS = 4
CALLERS = 6
ISSUER = {"introspection": {"timeout": "300ms", "budget": {"concurrent": 4}}, "cache": {"ttl": "0s", "negativeTTL": "1s"}}
CHANGES = {"handle": {**handle.HANDLE, "recheckAfter": "0s"}}


class Chaos(random.Random):
    """What the provider does, and what it may never do: say of a token what is not so."""

    def __init__(self, provider):
        super().__init__(1)
        self.good = {sentinel.token(): f"good-{n}" for n in range(20)}
        self.bad = [sentinel.token() for _ in range(20)]
        provider.script = self.reply

    def claims(self, token):
        now = int(time.time())
        return {"active": True, "token_type": "Bearer", "aud": "kubernetes", "sub": "u", "groups": ["developers"],
                "preferred_username": self.good[token], "iat": now - 60, "exp": now + 3600}

    def truth(self, token):
        return self.claims(token) if token in self.good else {"active": False}

    def of_somebody_else(self):
        return self.claims(self.choice(list(self.good)))

    def reply(self, request):
        truth = self.truth(request.token)
        fault = self.choice([reply.silence, reply.reset, reply.hang_up, self.error, self.cut, self.unasked])
        good = self.choice([reply.json, reply.chunked, lambda value: reply.closing(reply.json(value))])(truth)
        return self.choice([good, good, good, reply.after(self.uniform(0, 0.4), good), fault()])

    def error(self):
        return reply.error(self.choice([400, 401, 429, 500, 503]))

    def cut(self):
        return reply.truncated(b'{"active":', self.choice([11, 400]))

    def unasked(self):
        """An error, and in one piece with it what another token would be told."""
        other = json.dumps(self.of_somebody_else()).encode()
        heads = (reply.head(500, "Error", [("Content-Length", "0")]),
                 reply.head(200, "OK", [("Content-Type", "application/json"), ("Content-Length", str(len(other)))]))
        return reply.raw(b"".join((*heads, other)), close=False)


class Crowd:
    """The callers, and what they have seen."""

    def __init__(self, webhook, chaos):
        self.webhook, self.chaos = webhook, chaos
        self.ending = threading.Event()
        self.seen, self.wrong = set(), []

    def run(self, n):
        dice = random.Random(n)
        caller = self.webhook.caller()
        while not self.ending.is_set():
            try:
                self.act(caller, dice)
            except (Closed, OSError):
                caller.close()
            except AssertionError as wrong:
                self.wrong.append(wrong)
                return

    def act(self, caller, dice):
        token = dice.choice([*self.chaos.good, *self.chaos.bad])
        timeout = dice.choice(["20ms", "200ms", "3s"])
        if dice.random() < 0.1:
            caller.connect().send(request_bytes("POST", f"/authenticate?timeout={timeout}", body(token)))
            caller.close()
            return
        answer = caller.review(token, timeout=timeout)
        self.check(token, answer)
        if answer.verdict == "allow":
            verdict = authorizer.authorize(caller, answer.user, timeout=timeout).verdict
            self.seen.add(("request", verdict))
            assert verdict != "deny", "a request with a good token was refused"

    def check(self, token, answer):
        name = self.chaos.good.get(token)
        self.seen.add(("good" if name else "bad", answer.verdict))
        assert answer.verdict != ("deny" if name else "allow"), f"{name or 'a bad token'}: {answer.review}"
        if answer.verdict == "allow":
            assert answer.user["username"] == f"corp:{name}", answer.review


def test_whatever_happens_nobody_is_taken_for_another(provider, start):
    webhook = start(provider, ISSUER, CHANGES)
    crowd = Crowd(webhook, Chaos(provider))
    threads = [threading.Thread(target=crowd.run, args=(n,)) for n in range(CALLERS)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + SECONDS
    ttls = itertools.cycle(["100ms", "0s"])
    while time.monotonic() < end:
        webhook.reload([configuration.merged(webhook.issuers[0], {"cache": {"ttl": next(ttls)}})])
    wait.until(lambda: len(crowd.seen) >= 6 or crowd.wrong, lambda: f"every verdict has been seen: {crowd.seen}")
    webhook.stop()
    crowd.ending.set()
    for thread in threads:
        thread.join()
    assert not crowd.wrong, crowd.wrong[0]
