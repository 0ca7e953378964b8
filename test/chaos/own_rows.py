"""What goes wrong with the webhook itself and with the machine that it runs on."""

import datetime
import json
import signal
import socket
import subprocess
import time

from lib import wait
from lib.webhook import GENERATION

from row import Row, Setting
from skip import Skip

# ---- the names of hosts

PROVIDER_HOST = "id.chaos.test"
# What libcurl remembers of a name's address.
REMEMBERED_SECONDS = 60
HOUR = 3600


class Names:
    """A mount namespace for the webhook in which /etc/hosts knows the provider, and the name server never answers."""

    def __init__(self, run):
        self.folder = run.folder / "names"
        self.folder.mkdir(exist_ok=True)
        self.hosts, self.resolver = self.folder / "hosts", self.folder / "resolv.conf"
        self.server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.server.bind(("127.77.53.1", 53))
        except OSError as error:
            raise Skip(f"no name server can be had here: {error}") from error
        self.resolver.write_text("nameserver 127.77.53.1\n")
        self.know(True)
        self.wrapper = ("unshare", "--mount", "sh", "-c",
                        f"mount --bind '{self.hosts}' /etc/hosts && mount --bind '{self.resolver}' /etc/resolv.conf && exec \"$0\" \"$@\"")
        if subprocess.run([*self.wrapper, "true"], capture_output=True).returncode != 0:
            self.server.close()
            raise Skip("this machine allows no mount namespace")

    def know(self, does):
        """Written in place: the file is bound."""
        self.hosts.write_text("127.0.0.1 localhost\n" + (f"127.0.0.1 {PROVIDER_HOST}\n" if does else ""))


def with_names(run):
    run.names = Names(run)
    return Setting(host=PROVIDER_HOST, wrapper=run.names.wrapper, prepare=lambda folder: run.names.server.close,
                   certificate=run.certificates.provider_ca.server("provider-by-name", (f"DNS:{PROVIDER_HOST}",)))


def forget_names(stage):
    stage.run.names.know(False)


def end_connections(stage):
    """Every five seconds, as the provider's side does now and then: a connection that is in use would need no name for hours."""
    if time.monotonic() - getattr(stage, "ended_connections", 0) > 5:
        stage.ended_connections = time.monotonic()
        stage.provider.tell("close")


def know_names(stage):
    stage.run.names.know(True)


# ---- the disk

DISK_BYTES = 64 * 1024 * 1024


def small_disk(folder):
    """The audit log gets a disk of its own."""
    disk = folder.path / "audit"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "chaos", disk], capture_output=True).returncode != 0:
        raise Skip("this machine allows no mount")
    return lambda: subprocess.run(["umount", disk], check=True)


def fill_disk(stage):
    """Also again and again: what the webhook has removed or cut leaves room."""
    with open(stage.webhook.audit_path.parent / "filler", "ab", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(65536))
        except OSError:
            pass


def make_room(stage):
    (stage.webhook.audit_path.parent / "filler").unlink()


def disk_was_full(result):
    if not result.after.metrics.value("kube_introspect_audit_write_errors_total"):
        yield "the disk was not full: no write failed"


# ---- the clock

def with_clock(run):
    run.clock.set_wall_ahead(0)
    return Setting(variables=run.clock.variables(), mix=(870, 0, 30, 80, 20, 0))


def step(seconds):
    return lambda stage: stage.run.clock.set_wall_ahead(seconds)


def step_back(stage):
    """And look first at what time the program thought it was: in the newest line of its audit log."""
    told = wait.until(stage.webhook.audit_path.exists, "there is an audit log") and stage.webhook.audit_path.read_bytes()[-20000:]
    told = datetime.datetime.fromisoformat(json.loads(told.split(b"\n")[-2])["time"])
    stage.seen_offset = told.timestamp() - time.time()
    stage.run.clock.set_wall_ahead(0)


def was_stepped(seconds):
    def check(result):
        if abs(result.stage.seen_offset - seconds) > 60:
            yield f"the program's clock was not stepped by {seconds} s, but by {result.stage.seen_offset:.0f}"
    return check


# ---- certificates and the process

ROTATIONS = 20


def rotate(stage):
    """Another certificate of our own and one of the provider, spread over the time that there is."""
    now = time.monotonic()
    if stage.rotations == ROTATIONS or now < stage.next_rotation:
        return
    stage.rotations += 1
    stage.next_rotation = now + stage.seconds * 0.8 / ROTATIONS
    certificates = stage.certificates
    stage.webhook.folder.install((certificates.server, certificates.server_renewed)[stage.rotations % 2], "tls/tls")
    stage.provider.present((certificates.provider, certificates.provider_renewed)[stage.rotations % 2])
    stage.webhook.signal(signal.SIGHUP)


def begin_to_rotate(stage):
    stage.rotations, stage.next_rotation = 0, 0


def all_were_used(result):
    n = result.after.metrics.value(GENERATION) - result.before.metrics.value(GENERATION)
    if n < ROTATIONS:
        yield f"{n:.0f} of {ROTATIONS} certificates were taken up"


ROWS = [
    Row("dns", "the provider's name cannot be looked up, and it ends connections now and then", forget_names, know_names,
        during=end_connections, setting=with_names, shows=("breaker_open",),
        may=("provider_unreachable", "provider_timeout", "provider_tls", "deadline_exceeded"), onset_ms=2500,
        least_seconds=REMEMBERED_SECONDS + 20, ci=False),
    Row("disk-refuse", "our disk is full, `whenUnwritable: Refuse`", fill_disk, make_room, during=fill_disk, check=disk_was_full,
        setting=lambda run: Setting(prepare=small_disk), shows=("audit_unwritable",), serves=False),
    Row("disk-continue", "our disk is full, `whenUnwritable: Continue`", fill_disk, make_room, during=fill_disk, check=disk_was_full,
        setting=lambda run: Setting(prepare=small_disk, changes={"audit": {"whenUnwritable": "Continue"}}), ci=False),
    Row("clock-ahead", "our clock steps an hour ahead", step(HOUR), step_back, setting=with_clock, check=was_stepped(HOUR)),
    Row("clock-behind", "our clock steps an hour back, before tokens were issued", step(-HOUR), step_back, setting=with_clock,
        check=was_stepped(-HOUR), shows=("issued_in_future",), serves=False),
    Row("rotation", f"certificates, ours and the provider's, are replaced {ROTATIONS} times", begin_to_rotate, during=rotate,
        setting=lambda run: Setting(load={"connections": 32}), p99_ms=500, least_seconds=10, check=all_were_used, ci=False),
    Row("stopped", "our process is stopped (SIGSTOP), then goes on", lambda stage: stage.webhook.signal(signal.SIGSTOP),
        lambda stage: stage.webhook.signal(signal.SIGCONT), may=("provider_timeout",), serves=False, most_seconds=5),
    Row("killed", "our process is killed (SIGKILL), and after a moment started again", lambda stage: stage.webhook.kill(),
        lambda stage: stage.webhook.restart(), serves=False, most_seconds=2,
        shows=("the connection was refused",), may=("the connection broke", "over_budget")),
]
