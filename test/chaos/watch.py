"""What the webhook says of itself, four times a second: its metrics, which survive a restart of it here."""

import re
import threading
import time

from lib.metrics import Metrics

INTERVAL_SECONDS = 0.25
CALLS = "kube_introspect_introspection_calls_total"
UNDER_WAY = "kube_introspect_introspections_in_flight"
STATE = "kube_introspect_breaker_state"
NEGATIVE = ("kube_introspect_cache_entries", {"part": "negative"})
STARTED = "process_start_time_seconds"
MEMORY = "process_resident_memory_bytes"


class Sample:
    def __init__(self, metrics, calls_before):
        self.at = time.monotonic()
        self.own_calls = (metrics.value(CALLS) or 0) + (metrics.value(UNDER_WAY) or 0)
        self.calls = calls_before + self.own_calls  # that have begun
        self.is_closed = metrics.value(STATE) == 0
        self.negative = metrics.value(NEGATIVE[0], **NEGATIVE[1])
        self.memory = metrics.value(MEMORY)
        self.metrics = metrics


class Watch:
    def __init__(self, webhook):
        self.webhook, self.samples = webhook, []
        self.before = 0  # calls of processes that are no more
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.look()
        self.thread.start()

    def _run(self):
        while not self.ending.wait(INTERVAL_SECONDS):
            try:
                self.look()
            except (OSError, AssertionError):
                pass  # it is not there, or stopped

    def look(self):
        """Now; gives what it saw."""
        metrics = Metrics(re.sub(r"(?m)^\w+_bucket\{.*\n", "", self.webhook.operations("/metrics")[2]))
        sample = Sample(metrics, self.before)
        if self.samples and sample.metrics.value(STARTED) != self.samples[-1].metrics.value(STARTED):
            self.before = self.samples[-1].calls
            sample.calls = self.before + sample.own_calls
        self.samples.append(sample)
        return sample

    def look_for_inactive(self, n, seconds=2):
        """When as many answers "inactive" have arrived as the provider had given, or never will."""
        end = time.monotonic() + seconds
        while True:
            sample = self.look()
            if (sample.metrics.value(CALLS, outcome="inactive") or 0) >= n or time.monotonic() > end:
                return sample
            time.sleep(0.02)

    def between(self, begun, ended):
        return [sample for sample in self.samples if begun <= sample.at <= ended]

    def stop(self):
        self.ending.set()
        self.thread.join()
