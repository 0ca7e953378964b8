"""Users whose tokens are revoked, and who ask until they are refused."""

import statistics
import threading
import time

from cluster import CONFIGMAPS
from lib import wait

N_USERS = 10
# For the poll itself, and a machine that does other things too.
SLACK_SECONDS = 2.5


def by_http(cluster, token):
    """A function that asks over one connection, and gives the status."""
    client = cluster.client(token)
    return lambda: client.get(CONFIGMAPS).status


def by_kubectl(cluster, token):
    """The same, by a kubectl for each question."""

    def ask():
        done = cluster.kubectl.run("get", "--raw", CONFIGMAPS, token=token)
        if done.returncode == 0:
            return 200
        assert "Unauthorized" in done.stderr, done.stderr
        return 401

    return ask


def poll(ask, most, interval=0.05):
    """Asks until the answer is 401; each answer before must be 200. Gives the seconds from now to the question that was
    refused; none that was asked after most may have been let in."""
    begun = time.monotonic()
    while True:
        asked = time.monotonic() - begun
        status = ask()
        if status == 401:
            return asked
        assert status == 200, f"expected 200 or 401, got {status}"
        assert asked <= most + SLACK_SECONDS * wait.SLOWNESS, f"still 200 after {asked:.1f} s, it may take {most:g} s"
        time.sleep(interval)


class Revocations:
    """Ten users who come one after the other, work for a second, and go on after their token is revoked. In threads."""

    def __init__(self, cluster, how, most, spread_seconds, interval=0.5):
        """how             by_http or by_kubectl
        most            seconds within which each must be refused
        spread_seconds  between the first user's revocation and the last one's"""
        self.cluster, self.how, self.most, self.spread_seconds, self.interval = cluster, how, most, spread_seconds, interval
        self.seconds, self.errors = [], []
        tokens = [cluster.provider.password("alice") for _ in range(N_USERS)]
        self.users = [threading.Thread(target=self._run, args=pair, daemon=True) for pair in enumerate(tokens)]
        for user in self.users:
            user.start()

    def _run(self, number, token):
        try:
            self.seconds.append(self._measure(number, token))
        except BaseException as error:  # it fails the test that waits
            self.errors.append(f"user {number}: {type(error).__name__}: {error}")

    def _measure(self, number, token):
        """All come at once; each is revoked at another moment of the life of what the API server remembers."""
        ask, begun = self.how(self.cluster, token), time.monotonic()
        while time.monotonic() - begun < 1 + self.spread_seconds * number / N_USERS:
            assert ask() == 200
            time.sleep(self.interval)
        self.cluster.provider.revoke(token)
        return poll(ask, self.most, self.interval)

    def wait(self):
        """Until all were refused; gives the seconds that it took."""
        for user in self.users:
            user.join((self.spread_seconds + self.most + 60) * wait.SLOWNESS)
        assert not self.errors, f"{self.errors}; log {self.cluster.webhook.log}"
        return self.seconds

    def median(self):
        return statistics.median(self.seconds)

    def worst(self):
        return max(self.seconds)

    def text(self):
        return (f"revoked, then 401 after {self.median():.1f} s (median of {len(self.seconds)}), {self.worst():.1f} s (worst); "
                f"it may take {self.most:g} s")
