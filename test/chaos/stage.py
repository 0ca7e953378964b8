"""One webhook, its provider and those who log in, through four phases: before, onset (the first seconds of the trouble), trouble,
after. What a row of the table says is measured here."""

import dataclasses
import time

from lib import configuration
from lib.webhook import Webhook

from processes import Load, Provider
from watch import Watch

GROUPS = ["on-call"]
# Of 1,000 logins: cached, expiring, revoked, new, garbage. Nine of ten are with tokens that are in use.
MIX = (830, 40, 30, 80, 20, 0)
ISSUER = {
    "tokens": {"clientIDs": ["app"]},
    "introspection": {"timeout": "2s", "budget": {"perSecond": 1000, "burst": 2000}},
    "cache": {"negativeTTL": "1m"},
    "outage": {"maxStale": "1h", "groups": GROUPS},
    "clockSkew": "5s",
}
CHANGES = {"log": {"level": "info"}, "threads": 1}
ONSET_SECONDS = 3
# The log of 2,000 logins a second is 1 MB a second: it is rotated as an admin's logrotate would.
AUDIT_BYTES = 32 * 1024 * 1024


@dataclasses.dataclass
class Times:
    begun: float
    ended: float = 0
    over: float = 0


class Stage:
    def __init__(self, run, folder, seconds, setting):
        """setting  a Setting: what is different on this stage"""
        self.run, self.folder, self.certificates, self.seconds = run, folder, run.certificates, seconds
        certificates, programs = run.certificates, run.programs
        self.ending = []  # what is to be undone, the last first
        self.provider = Provider(programs / "provider", setting.certificate or certificates.provider, folder / "provider.log",
                                 setting.host)
        self.ending.append(self.provider.stop)
        try:
            self.ttl = setting.ttl or run.options.ttl
            refresh_ahead = setting.refresh_ahead_ms or self.ttl * 1000 // 3
            times = {"cache": {"ttl": f"{self.ttl}s", "refreshAhead": f"{refresh_ahead}ms"}}
            issuer = configuration.merged(configuration.merged(ISSUER, times), setting.issuer)
            self.webhook = Webhook(folder / "webhook", certificates, [configuration.issuer(self.provider, issuer)],
                                   configuration.merged(CHANGES, setting.changes), prepare=setting.prepare and self._prepare(setting),
                                   wrapper=setting.wrapper, variables=setting.variables)
            self.ending.append(self.webhook.kill)
            self.webhook.wait_ready()
            self.load = Load(programs / "load", self.webhook, folder / "load.log", setting.mix or MIX,
                             max(0, setting.rate or run.options.rate), setting.n_cached,
                             **{"skew": 5, "revoked": 1000 * (self.ttl + 1), "expiring": int(self.expiring_seconds()), **setting.load})
            self.ending.append(self.load.stop)
            self.watch = Watch(self.webhook)
            self.ending.append(self.watch.stop)
        except BaseException:
            self.close()
            raise

    def _prepare(self, setting):
        def act(folder):
            undo = setting.prepare(folder)
            if undo:
                self.ending.append(undo)
        return act

    def expiring_seconds(self):
        """In the middle of the trouble."""
        return self.ttl + 2 + self.seconds / 2 + 1

    # ---- the course of things

    def pass_time(self, seconds, act=None):
        """What happens again and again meanwhile: act(), if there is one."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if act:
                act()
            time.sleep(max(0, min(0.05, end - time.monotonic())))
            self._rotate_audit()

    def _rotate_audit(self):
        try:
            if self.webhook.audit_path.stat().st_size > AUDIT_BYTES:
                self.webhook.audit_path.unlink()
        except FileNotFoundError:
            pass

    def play(self, row):
        """The report of the load by phase, and the times of them."""
        self.load.tell("phase before")
        self.load.tell("revoke")
        self.provider.revoke()
        self.pass_time(self.ttl + 2)
        self.load.tell("phase pause")
        self.load.catch_up()  # who came before the trouble is answered before it
        self.counts_before = self.provider.count()
        self.before = self.watch.look_for_inactive(self.counts_before["inactive"])
        times = Times(time.monotonic())
        self.load.tell("phase onset")
        row.begin(self)
        onset = min(ONSET_SECONDS, self.seconds / 2)
        self.pass_time(onset, row.during and (lambda: row.during(self)))
        self.load.tell("phase trouble")
        self.pass_time(self.seconds - onset, row.during and (lambda: row.during(self)))
        times.ended = time.monotonic()
        row.end(self)
        times.over = time.monotonic()
        self.load.tell("phase after")
        self.pass_time(self.run.options.after)
        self.after = self.watch.look()
        self.provider.tell("count")
        return self.load.report(), times

    def close(self):
        for undo in reversed(self.ending):
            undo()
        self.ending = []
