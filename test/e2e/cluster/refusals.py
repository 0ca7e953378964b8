"""Users of an API server that asks about every request, whose tokens are revoked: how soon they are refused, and how."""

import http.client
import json
import statistics
import threading
import time

from cluster import CONFIGMAPS
from lib import wait

N_USERS = 20
SLACK_SECONDS = 0.5
SENTENCE = "The provider says that the token is not active"
DEFAULT = "/api/v1/namespaces/default"
THERE = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "e2e-there"}, "data": {"a": "b"}}
# Method, path, body and type of each kind of request, and what it is answered when it is let through. There is no kubelet to exec
# by, and no pod: the API server looks for the pod after both doors, so 404 is what whoever passed them is told.
REQUESTS = {
    "get": ("GET", f"{DEFAULT}/configmaps/e2e-there", None, None, 200),
    "list": ("GET", CONFIGMAPS, None, None, 200),
    "create": ("POST", f"{DEFAULT}/configmaps", {**THERE, "metadata": {"generateName": "e2e-made-"}}, "application/json", 201),
    "update": ("PUT", f"{DEFAULT}/configmaps/e2e-there", THERE, "application/json", 200),
    "patch": ("PATCH", f"{DEFAULT}/configmaps/e2e-there", {"data": {"c": "d"}}, "application/merge-patch+json", 200),
    "delete": ("DELETE", f"{DEFAULT}/configmaps/e2e-there?dryRun=All", None, None, 200),
    "exec": ("POST", f"{DEFAULT}/pods/e2e-not-there/exec?command=ls&stdout=true", None, None, 404),
}
# On e2e-there all of them may meet: a conflict is an answer from behind the doors as well.
CONFLICT = 409


def by_request(kind):
    """Makes a function that sends this kind of request over one connection, and says whether it was let through; whoever is refused
    must read why."""
    method, path, body, content_type, expected = REQUESTS[kind]
    body, headers = body and json.dumps(body), {"Content-Type": content_type} if content_type else {}

    def how(cluster, token):
        client = cluster.client(token)

        def ask():
            try:
                response = client.request(method, path, body, headers)
            except (http.client.HTTPException, OSError):
                response = client.request(method, path, body, headers)  # the API server closes connections now and then
            if response.status in (expected, CONFLICT):
                return True
            assert response.status == 403 and SENTENCE in response.body.decode(), (kind, response.status, response.body)
            return False

        return ask

    return how


by_http = by_request("list")


def by_kubectl(*command):
    """The same by a kubectl for each question. In the command, # is another number each time."""

    def how(cluster, token):
        numbers = iter(range(1_000_000))

        def ask():
            number, name = str(next(numbers)), f"e2e-{id(numbers)}"
            words = [word.replace("#", f"{name}-{number}") for word in command]
            done = cluster.kubectl.run(*words, token=token)
            if done.returncode == 0:
                return True
            is_told = "is forbidden" in done.stderr or "denied the request" in done.stderr
            assert is_told and SENTENCE in done.stderr, done.stderr
            return False

        return ask

    return how


def poll(ask, most, interval=0.1):
    """Asks until refused. Gives the seconds from now to the question that was refused: no question that was sent later than most
    may have been let through."""
    begun = time.monotonic()
    while True:
        asked = time.monotonic() - begun
        if not ask():
            return asked
        assert asked <= most, f"let through {asked:.2f} s after the revocation, it may take {most:g} s"
        time.sleep(interval)


class Refusals:
    """Users who work side by side, are revoked one after the other, and go on until they are refused."""

    def __init__(self, cluster, hows, recheck_after, interval=0.1):
        """hows  how each user asks; one for twenty"""
        self.cluster, self.recheck_after, self.interval = cluster, recheck_after, interval
        self.hows = hows if isinstance(hows, list) else [hows] * N_USERS
        self.most = recheck_after + SLACK_SECONDS * wait.SLOWNESS
        self.seconds, self.errors = [], []
        tokens = [cluster.provider.password("alice") for _ in self.hows]
        users = [threading.Thread(target=self._run, args=pair, daemon=True) for pair in enumerate(tokens)]
        for user in users:
            user.start()
        for user in users:
            user.join(120 * wait.SLOWNESS)
        assert not self.errors, f"{self.errors}; log {cluster.webhook.log}"
        assert len(self.seconds) == len(self.hows)

    def _run(self, number, token):
        try:
            ask, begun = self.hows[number](self.cluster, token), time.monotonic()
            while time.monotonic() - begun < self.recheck_after * (1 + number / len(self.hows)):
                assert ask(), "refused before it was revoked"
                time.sleep(self.interval)
            self.cluster.provider.revoke(token)
            self.seconds.append(poll(ask, self.most, self.interval))
        except BaseException as error:  # it fails the test that waits
            self.errors.append(f"user {number}: {type(error).__name__}: {error}")

    def text(self):
        return (f"revoked, then 403 after {statistics.median(self.seconds):.2f} s (median of {len(self.seconds)}), "
                f"{max(self.seconds):.2f} s (worst); it may take {self.recheck_after:g} s and {SLACK_SECONDS:g} s")

    def row(self, by):
        """A row of docs/revocation.md."""
        return (f"| {self.recheck_after:g} s | {by} | {statistics.median(self.seconds):.1f} s | {max(self.seconds):.1f} s | "
                f"{self.recheck_after + SLACK_SECONDS:g} s |")
