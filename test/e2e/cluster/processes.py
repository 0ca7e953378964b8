"""A program that runs for the tests, and its log."""

import subprocess


class Process:
    def __init__(self, log, command):
        self.name, self.log = command[0].name, log
        with open(log, "ab") as output:
            # Ended by the kernel where the tests are killed outright.
            self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *map(str, command)], stdin=subprocess.DEVNULL,
                                            stdout=output, stderr=subprocess.STDOUT)

    def is_running(self):
        return self.process.poll() is None

    def tail(self):
        lines = self.log.read_text(errors="replace").splitlines()[-15:]
        return f"log {self.log}, its end:\n" + "\n".join(lines)

    def kill(self):
        """At once: nothing that it could still do matters."""
        self.process.kill()
        self.process.wait()
