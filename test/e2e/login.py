"""A webhook that logs users of the demo provider in."""

from demo_provider import BASIC
from lib import configuration, sentinel, wait

API_SERVER = "https://kubernetes.default.svc"
TTL_SECONDS = 1.0


def issuer_for(provider, changes=None, client=BASIC):
    base = {
        "introspection": {"client": {"id": client.id, "method": client.method}, "timeout": "10s"},  # the machine does other things too
        "cache": {"ttl": f"{TTL_SECONDS:g}s", "negativeTTL": f"{TTL_SECONDS:g}s"},
    }
    issuer = configuration.issuer(provider, base, discovery=True)
    if client.secret is None:
        del issuer["introspection"]["client"]["secretFile"]
        issuer["introspection"]["client"].update(certFile="tls/provider-client.crt", keyFile="tls/provider-client.key")
    return configuration.merged(issuer, changes or {})


class Login:
    """A webhook as the API server uses it: shows it tokens, and learns from the audit log why it decided so."""

    def __init__(self, webhook):
        self.webhook = webhook
        self.caller = webhook.caller()
        self.n_reviews = 0

    def review(self, token):
        sentinel.remember(token)
        self.n_reviews += 1
        return self.caller.review(token, [API_SERVER], timeout="30s")

    def records(self):
        """The audit log, once it has a line for each review."""
        wait.until(lambda: len(self.webhook.audit_records()) >= self.n_reviews, f"{self.n_reviews} audit records")
        return self.webhook.audit_records()

    def answer_and_reason(self, token):
        answer, record = self.review(token), self.records()[-1]
        assert record["verdict"] == answer.verdict, f"{answer.review}, but in the audit log: {record}"
        return answer, record["reason"]

    def verdict(self, token):
        """(verdict, reason), for a test to compare with."""
        answer, reason = self.answer_and_reason(token)
        return answer.verdict, reason
