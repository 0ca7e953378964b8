"""Many users at once: connections to the API server that are opened beforehand, and threads that send requests by the clock."""

import collections
import threading
import time

from cluster import CONFIGMAPS
from lib import connection

N_CONNECTIONS = 32


class Crowd:
    def __init__(self, cluster):
        tls = connection.context(cluster.control_plane.certificates.ca)
        self.connections = [connection.Connection(cluster.control_plane.port, tls, seconds=60) for _ in range(N_CONNECTIONS)]
        self.failures, self.seconds = collections.Counter(), 0.0
        self.lock = threading.Lock()

    def send(self, tokens, n, per_second):
        """n requests, whose tokens go round, at this pace as far as the machine keeps it; adds to failures, sets seconds."""
        requests = [connection.request_bytes("GET", CONFIGMAPS, headers=[("Authorization", f"Bearer {token}")]) for token in tokens]
        begun = time.monotonic()
        threads = [threading.Thread(target=self._send, args=(self.connections[first], requests, first, n, begun, per_second))
                   for first in range(N_CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.seconds = time.monotonic() - begun

    def _send(self, its_connection, requests, first, n, begun, per_second):
        for number in range(first, n, N_CONNECTIONS):
            early = begun + number / per_second - time.monotonic()
            if early > 0:
                time.sleep(early)
            try:
                its_connection.send(requests[number % len(requests)])
                status = its_connection.response().status
            except Exception as error:  # whatever it is, it is a failed request, and those that this connection would send too
                status = f"{type(error).__name__}: {error}"
            if status != 200:
                with self.lock:
                    self.failures[status] += 1

    def close(self):
        for each in self.connections:
            each.close()
