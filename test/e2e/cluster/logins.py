"""Requests that never rest: 20 a second, each with the next token, and what became of them."""

import threading
import time

from cluster import CONFIGMAPS
from lib import wait

PER_SECOND = 20


class Logins:
    """
    with Logins(cluster, tokens) as logins:    tokens: as many as are wanted, and round again
        ... change something ...
        logins.wait_for(20)                    20 further requests
    logins.assert_no_failure()
    """

    def __init__(self, cluster, tokens, expected=200):
        self.cluster, self.tokens, self.expected = cluster, tokens, expected
        self.n_requests, self.failures = 0, []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        self.wait_for(1)
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(60 * wait.SLOWNESS)

    def _run(self):
        client = self.cluster.client()
        due = time.monotonic()
        while not self.stopping.is_set():
            token = self.tokens[self.n_requests % len(self.tokens)]
            try:
                status = client.get(CONFIGMAPS, {"Authorization": f"Bearer {token}"}).status
            except Exception as error:  # whatever it is, it is a failed request
                status = f"{type(error).__name__}: {error}"
            if status != self.expected:
                self.failures.append((self.n_requests, status))
            self.n_requests += 1
            due += 1 / PER_SECOND
            self.stopping.wait(max(0, due - time.monotonic()))

    def wait_for(self, n):
        goal = self.n_requests + n
        wait.until(lambda: self.n_requests >= goal, lambda: f"{goal} requests (seen: {self.n_requests})", seconds=60)

    def assert_no_failure(self):
        assert not self.failures, (f"expected 0 failed requests of {self.n_requests}, got {len(self.failures)}: "
                                   f"{self.failures[:5]}; log {self.cluster.webhook.log}")
