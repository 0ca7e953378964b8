"""Many users at once: connections to the API server that are opened beforehand, and threads that send requests by the clock."""

import collections
import itertools
import threading
import time

from cluster import CONFIGMAPS
from lib import connection

N_CONNECTIONS = 32


class Crowd:
    def __init__(self, cluster):
        tls = connection.context(cluster.control_plane.certificates.ca)
        self.connections = [connection.Connection(cluster.control_plane.port, tls, seconds=60) for _ in range(N_CONNECTIONS)]
        self.failures, self.seconds, self.latencies = collections.Counter(), 0.0, []
        self.lock = threading.Lock()

    def send(self, tokens, n, per_second):
        """n requests, whose tokens go round, at this pace as far as the machine keeps it; adds to failures, sets seconds."""
        self.pace([connection.request_bytes("GET", CONFIGMAPS, headers=[("Authorization", f"Bearer {token}")]) for token in tokens],
                  n, per_second)

    def pace(self, requests, n, per_second):
        """The same with requests as they are sent. Sets latencies too: seconds from when each should have been sent."""
        begun = time.monotonic()
        self._all(requests, lambda first: ((number, begun + number / per_second) for number in range(first, n, N_CONNECTIONS)))

    def hurry(self, requests, seconds):
        """Each connection asks again at once, for so long."""
        end = time.monotonic() + seconds
        self._all(requests, lambda first: itertools.takewhile(
            lambda _: time.monotonic() < end, ((number, 0) for number in itertools.count(first, N_CONNECTIONS))))

    def _all(self, requests, numbers_of):
        self.latencies, begun = [], time.monotonic()
        threads = [threading.Thread(target=self._send, args=(self.connections[first], requests, numbers_of(first)))
                   for first in range(N_CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.seconds = time.monotonic() - begun

    def _send(self, its_connection, requests, numbers):
        """numbers: of the requests, and when each is due."""
        for number, due in numbers:
            early = due - time.monotonic()
            if early > 0:
                time.sleep(early)
            try:
                its_connection.send(requests[number % len(requests)])
                status = its_connection.response().status
            except Exception as error:  # whatever it is, it is a failed request, and those that this connection would send too
                status = f"{type(error).__name__}: {error}"
            self.latencies.append(time.monotonic() - due)
            if status not in (200, 201):
                with self.lock:
                    self.failures[status] += 1

    def close(self):
        for each in self.connections:
            each.close()
