"""Users of an API server that asks about every request, whose tokens are revoked: how soon they are refused, and how."""

import http.client
import statistics
import threading
import time

from cluster import CONFIGMAPS
from lib import wait

N_USERS = 20
SLACK_SECONDS = 0.5
SENTENCE = "The provider says that the token is not active"


def by_http(cluster, token):
    """A function that asks over one connection, and says whether it was let through; whoever is refused must read why."""
    client = cluster.client(token)

    def ask():
        try:
            response = client.get(CONFIGMAPS)
        except (http.client.HTTPException, OSError):
            response = client.get(CONFIGMAPS)  # the API server closes connections now and then
        if response.status == 200:
            return True
        assert response.status == 403 and SENTENCE in response.body.decode(), (response.status, response.body)
        return False

    return ask


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
    """Twenty users who work side by side, are revoked one after the other, and go on until they are refused."""

    def __init__(self, cluster, how, recheck_after, interval=0.1):
        self.cluster, self.how, self.recheck_after, self.interval = cluster, how, recheck_after, interval
        self.most = recheck_after + SLACK_SECONDS * wait.SLOWNESS
        self.seconds, self.errors = [], []
        tokens = [cluster.provider.password("alice") for _ in range(N_USERS)]
        users = [threading.Thread(target=self._run, args=pair, daemon=True) for pair in enumerate(tokens)]
        for user in users:
            user.start()
        for user in users:
            user.join(120 * wait.SLOWNESS)
        assert not self.errors, f"{self.errors}; log {cluster.webhook.log}"
        assert len(self.seconds) == N_USERS

    def _run(self, number, token):
        try:
            ask, begun = self.how(self.cluster, token), time.monotonic()
            while time.monotonic() - begun < self.recheck_after * (1 + number / N_USERS):
                assert ask(), "refused before it was revoked"
                time.sleep(self.interval)
            self.cluster.provider.revoke(token)
            self.seconds.append(poll(ask, self.most, self.interval))
        except BaseException as error:  # it fails the test that waits
            self.errors.append(f"user {number}: {type(error).__name__}: {error}")

    def text(self):
        return (f"revoked, then 403 after {statistics.median(self.seconds):.2f} s (median of {N_USERS}), {max(self.seconds):.2f} s "
                f"(worst); it may take {self.recheck_after:g} s and {SLACK_SECONDS:g} s")
