"""Callers that never rest: threads that send review after review until told to stop, and count whatever was not as it should be."""

import collections
import threading

from . import wait
from .caller import Caller


class Load:
    """
    with Load(webhook, token) as load:    token: a text, or a function that gives the next one
        ... change something ...
        load.wait_for(200)                200 further answers
    load.assert_no_failure()
    """

    def __init__(self, webhook, token, n_threads=4, expected="allow", certificate=None, reconnect_every=0):
        self.webhook, self.expected = webhook, expected
        self.next_token = token if callable(token) else lambda: token
        self.certificate = certificate
        self.reconnect_every = reconnect_every
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.n_answers = self.n_connections = 0
        self.failures = collections.Counter()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(n_threads)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.wait_for(len(self.threads))
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(30 * wait.SLOWNESS)

    def use(self, certificate):
        """Each thread opens a new connection with this certificate before its next request."""
        self.certificate = certificate

    def wait_for(self, n):
        """Until n further answers are there, from requests sent after this call for the most part."""
        goal = self.n_answers + n
        wait.until(lambda: self.n_answers >= goal or self.failures,
                   lambda: f"{n} further answers (seen: {self.n_answers}, wanted {goal}); log {self.webhook.log}", seconds=30)

    def _run(self):
        caller, certificate, n_asked = None, None, 0
        while not self.stopping.is_set():
            fresh = caller is None or certificate is not self.certificate
            if fresh or (self.reconnect_every and n_asked % self.reconnect_every == 0):
                certificate = self.certificate
                if caller:
                    caller.close()
                caller = self.webhook.caller(certificate)
                self.n_connections += 1
            n_asked += 1
            try:
                verdict = caller.review(self.next_token()).verdict
                outcome = None if verdict == self.expected else f"verdict {verdict}"
            except Exception as error:  # whatever it is, it is a failed request
                outcome = f"{type(error).__name__}: {error}"
                caller.close()
                caller = None
            with self.lock:
                self.n_answers += 1
                if outcome:
                    self.failures[outcome] += 1

    def assert_no_failure(self):
        assert not self.failures, (f"expected 0 failed requests of {self.n_answers}, got {sum(self.failures.values())}: "
                                   f"{dict(self.failures)}; log {self.webhook.log}")
        assert self.n_answers > 0, "the load has sent nothing"
