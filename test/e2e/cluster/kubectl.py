"""kubectl, as a user or as an administrator."""

import json
import subprocess

import yaml

from lib import wait

SECONDS = 60


class Kubectl:
    def __init__(self, control_plane, folder):
        self.program, self.cache = control_plane.programs / "kubectl", folder / "kubectl-cache"
        certificates = control_plane.certificates
        self.nobody = self._kubeconfig(folder / "nobody.kubeconfig", control_plane)
        self.admin = self._kubeconfig(folder / "admin.kubeconfig", control_plane, certificates.admin)
        self.certificate_user = self._kubeconfig(folder / "user.kubeconfig", control_plane, certificates.user)

    @staticmethod
    def _kubeconfig(path, control_plane, certificate=None):
        user = {"client-certificate": str(certificate.cert), "client-key": str(certificate.key)} if certificate else {}
        path.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "e2e",
            "clusters": [{"name": "e2e", "cluster": {"server": control_plane.url,
                                                     "certificate-authority": str(control_plane.certificates.ca.cert)}}],
            "users": [{"name": "e2e", "user": user}],
            "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": "e2e"}}]}))
        return path

    def run(self, *arguments, token=None, kubeconfig=None, stdin=None):
        """Runs it to its end, whatever that is: with the token, or with the certificate of the kubeconfig."""
        command = [self.program, f"--kubeconfig={kubeconfig or self.nobody}", f"--cache-dir={self.cache}", *arguments]
        if token:
            command.append(f"--token={token}")
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=SECONDS * wait.SLOWNESS)

    def must(self, *arguments, **more):
        """What it says when it succeeds, which it must."""
        done = self.run(*arguments, **more)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: exit status {done.returncode}: {done.stderr}"
        return done.stdout

    def as_admin(self, *arguments, **more):
        return self.must(*arguments, kubeconfig=self.admin, **more)

    def apply(self, *objects):
        documents = "---\n".join(yaml.safe_dump(each) for each in objects)
        return self.as_admin("apply", "--filename=-", stdin=documents)

    def create(self, an_object):
        """Sends an object that is only an answer, a review say, and gives the answer."""
        return json.loads(self.as_admin("create", "--filename=-", "--output=json", stdin=yaml.safe_dump(an_object)))

    def whoami(self, **more):
        return json.loads(self.must("auth", "whoami", "--output=json", **more))["status"]["userInfo"]
