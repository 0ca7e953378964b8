"""What is attacked: a provider, the webhook, and a good client beside the attacker; and what is measured of them.

Everything has a process of its own. The webhook has one core to itself, all others share the rest, attackers behind the good
client: they stand for other machines, so they may take all that the webhook gives away, but not the good client's own time. Where it is
allowed to (as root), the webhook and the good client come before all other work of the machine, which is no part of the attack."""

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))

from lib import admission, configuration, connection, paths, reply, sentinel, wait  # noqa: E402
from lib.caller import body  # noqa: E402
from lib.provider import Provider  # noqa: E402
from lib.webhook import Webhook  # noqa: E402

PROGRAMS = Path(os.environ.get("KUBE_INTROSPECT_ATTACK_PROGRAMS", paths.ROOT / "build" / "attack"))
CLOSED = "kube_introspect_connections_closed_total"
MEBIBYTE = 1024 * 1024
PR_SET_PDEATHSIG = 1
SEARCHED_BYTES = 4 * MEBIBYTE
PRECEDENCE = 19  # a niceness below zero

_cores = sorted(os.sched_getaffinity(0))
SERVER_CORES, OTHER_CORES = ({_cores[0]}, set(_cores[1:])) if len(_cores) > 1 else (set(_cores), set(_cores))


def take_place(cores, precedence):
    """In a child, before it becomes another program: the cores that it runs on, and whether it comes before others. A session of its
    own, since Linux shares a core among sessions first (autogroups), and by niceness only within each. It ends with its parent."""
    os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.sched_setaffinity(0, cores)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -precedence)
        Path("/proc/self/autogroup").write_text(str(-precedence))


class Attacked(Webhook):
    def _set_limits(self):
        super()._set_limits()
        take_place(SERVER_CORES, PRECEDENCE)


class GoodClient:
    """good.c beside the attack."""

    def __init__(self, webhook, token):
        certificates = webhook.certificates
        self.process = subprocess.Popen(
            [PROGRAMS / "good", "--port", str(webhook.port), "--operations-port", str(webhook.operations_port),
             "--ca", certificates.server_ca.cert, "--cert", certificates.client.cert, "--key", certificates.client.key],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: take_place(OTHER_CORES, PRECEDENCE))
        self._say(token)

    def _say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def report(self):
        """What it has met since the last report: of kept connections, new ones, and /livez."""
        self._say("")
        return json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class Bed:
    """with Bed(folder, certificates, changes) as bed: ..."""

    def __init__(self, folder, certificates, changes=None, n_files=None):
        self.folder = folder
        self.provider = Provider(certificates)
        self.provider.idle_seconds = 1  # a connection to it that waits for its next use is no descriptor of the attack's
        self.provider.otherwise = reply.after(0.05, reply.inactive())
        self.token = self.provider.issue()
        # An answer of 100 kB, for those who do not read it.
        self.large_token = self.provider.issue(groups=["g" * 200 + str(n) for n in range(500)])
        every = {"listeners": {"admission": admission.LISTENER}, "log": {"level": "info"}}
        issuer = configuration.issuer(self.provider, {"cache": {"ttl": "10m"}, "introspection": {"timeout": "2s"}})
        self.webhook = Attacked(folder, certificates, [issuer], configuration.merged(every, changes or {}), n_files=n_files)
        self.webhook.wait_ready()
        caller = self.webhook.caller()
        for token in (self.token, self.large_token):  # cached from here on
            assert caller.review(token).verdict == "allow"
        caller.close()
        self.good = GoodClient(self.webhook, self.token)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.good.stop()
        self.webhook.stop_soon() or self.webhook.kill()
        self.provider.stop()

    # ---- what is measured

    @property
    def pid(self):
        return self.webhook.process.pid

    def is_alive(self):
        return self.webhook.process.poll() is None

    def is_live(self):
        try:
            return self.webhook.operations("/livez")[0] == 200
        except OSError:
            return False

    def memory(self):
        """Resident bytes, counted page by page (/proc/PID/status is some pages late)."""
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Rss:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no Rss in smaps_rollup")

    def forget_peak(self):
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def peak(self):
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmHWM in status")

    def n_descriptors(self):
        """The least of some looks, since the good client comes and goes."""
        least = sys.maxsize
        for _ in range(30):
            least = min(least, len(os.listdir(f"/proc/{self.pid}/fd")))
            time.sleep(0.005)
        return least

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def closed(self):
        """kube_introspect_connections_closed_total by reason."""
        return {labels["reason"]: int(value) for name, labels, value in self.webhook.metrics().samples if name == CLOSED}

    # ---- attackers

    def told(self, arguments):
        """All that an attacker's process is told."""
        certificates = self.webhook.certificates
        named = {name: {"cert": str(getattr(certificates, name).cert), "key": str(getattr(certificates, name).key)}
                 for name in ("client", "client_of_other_name", "client_of_other_ca", "client_expired")}
        return {"port": self.webhook.port, "operations_port": self.webhook.operations_port,
                "admission_port": self.webhook.admission_port, "server_ca": str(certificates.server_ca.cert),
                "certificates": named, "token": self.token, "large_token": self.large_token, "pid": self.pid, **arguments}

    def start_attacker(self, program, arguments):
        """A process in Python, or flood.c. Gives it, and a function that waits for its report."""
        arguments = {**arguments, **({"at": getattr(self.webhook, arguments["at"])} if "at" in arguments else {})}
        if program == "flood":
            command, told = self._flood(arguments)
        else:
            command, told = ["/usr/bin/python3", HERE / "attackers", program], json.dumps(self.told(arguments))
        process = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                   preexec_fn=lambda: take_place(OTHER_CORES, 0))

        def wait_for_report():
            out, _ = process.communicate(told, timeout=(arguments["seconds"] + 60) * wait.SLOWNESS)
            assert process.returncode == 0, f"the attacker {program} failed"
            return json.loads(out)

        return process, wait_for_report

    def _flood(self, arguments):
        command = [PROGRAMS / "flood", "--port", self.webhook.port]
        for name in ("do", "threads", "seconds", "rate"):
            command += [f"--{name}", arguments[name]] if name in arguments else []
        if "certificate" in arguments:
            certificate = getattr(self.webhook.certificates, arguments["certificate"])
            command += ["--cert", certificate.cert, "--key", certificate.key]
        return command, connection.request_bytes("POST", "/authenticate", body(self.token)).decode()

    def search(self):
        """Any part of a token or a secret in what was written: of a flood's audit log, in its first lines."""
        if self.webhook.audit_path.stat().st_size > SEARCHED_BYTES:
            os.truncate(self.webhook.audit_path, SEARCHED_BYTES)
        return subprocess.run([sys.executable, paths.FIND_SENTINEL, "--strings", "-", "--skip", "secrets", "--skip", "tls", self.folder],
                              input="\n".join(sentinel.used()), capture_output=True, text=True)

    def remove(self):
        shutil.rmtree(self.folder)
