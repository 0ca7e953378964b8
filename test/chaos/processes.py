"""The programs beside the webhook: a provider that is told what to do (test/bench/provider.c), and those who log in
(test/bench/load.c). What goes through their standard input is a line each."""

import json
import select
import signal
import subprocess
import time

from lib import ports, wait


class Provider:
    """Answers by what is written in a token, or does worse. What it has counted survives its death."""

    def __init__(self, program, certificate, log, host="localhost"):
        self.program, self.certificate, self.log = program, certificate, log
        self.port = ports.free()
        self.url = f"https://{host}:{self.port}"
        self.process, self.is_revoked = None, False
        self.before, self.counted = {}, {}
        self.start()

    def start(self):
        """At the same port again, as long as it takes: connections of the one before may still be ending."""
        self.before, self.counted = self.counts(), {}
        deadline = time.monotonic() + 10 * wait.SLOWNESS
        while True:
            self.process = subprocess.Popen(
                [self.program, str(self.port), self.certificate.cert, self.certificate.key, "0", self.url], text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(self.log, "a"))
            if self.process.stdout.readline() == "ready\n":
                break
            self.process.wait()
            assert time.monotonic() < deadline, f"the provider does not start at port {self.port}; log {self.log}"
            time.sleep(0.02)
        if self.is_revoked:
            self.tell("revoke")

    def tell(self, *words):
        """Returns when it has done so."""
        line = " ".join(map(str, words))
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        said = json.loads(self.process.stdout.readline())
        assert said.pop("done"), f"the provider does not understand {line!r}"
        self.counted = said

    def counts(self):
        """calls, active, inactive; as of the last time that it was told something."""
        return {name: self.before.get(name, 0) + self.counted.get(name, 0) for name in ("calls", "active", "inactive")}

    def count(self):
        self.tell("count")
        return self.counts()

    def revoke(self):
        self.is_revoked = True
        self.tell("revoke")

    def present(self, certificate):
        """Another certificate, to connections from now on."""
        self.certificate = certificate
        self.tell("certificate", certificate.cert, certificate.key)

    def kill(self):
        self.tell("mode", "silent")  # or it would answer some more, which nobody would have counted
        self.process.kill()
        self.process.wait()

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()


class Load:
    """Those who log in. It begins with every token that is to be cached; then phases, and a report of each at the end."""

    def __init__(self, program, webhook, log, mix, rate, n_tokens, connections=1024, **options):
        certificates = webhook.certificates
        more = [text for name, value in options.items() for text in ("--" + name.replace("_", "-"), str(value))]
        self.process = subprocess.Popen(
            [program, "--port", str(webhook.port), "--ca", certificates.server_ca.cert, "--cert", certificates.client.cert, "--key",
             certificates.client.key, "--connections", str(connections), "--rate", str(rate), "--tokens", str(n_tokens), "--crowd",
             ",".join(map(str, mix)), *more], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(log, "a"))
        said = self.process.stdout.readline()
        assert said == "ready\n", f"the load generator did not start: {said!r}; log {log}"

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def catch_up(self, seconds=20):
        """Until all that was due before this phase has been answered; not for ever, on a machine that has other things to do."""
        self.tell("catch up")
        if select.select([self.process.stdout], [], [], seconds)[0]:
            self.process.stdout.readline()

    def report(self):
        """Ends it; the phases by name."""
        stdout, _ = self.process.communicate("end\n")
        assert self.process.returncode == 0, f"the load generator ended with {self.process.returncode}"
        return json.loads(stdout.splitlines()[-1])

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
