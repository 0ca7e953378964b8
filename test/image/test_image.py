"""What make image-offline has made: an archive that container engines take, and a list of what is in it."""

import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("BUILD", "build")
PREFIX = "org.opencontainers.image."
# SPDX 2.3: what each element must say (chapters 6 to 11), and how an identifier looks.
OF_DOCUMENT = {"spdxVersion", "dataLicense", "SPDXID", "name", "documentNamespace", "creationInfo"}
OF_PACKAGE = {"SPDXID", "name", "downloadLocation"}
IDENTIFIER = re.compile(r"SPDXRef-[A-Za-z0-9.-]+")
# All the licences that hack/image/sbom.py may name, as SPDX's list writes them.
LICENCES = {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "MIT", "ISC", "curl", "Zlib", "MPL-2.0", "OLDAP-2.8", "GPL-2.0-only",
            "GPL-2.0-or-later", "GPL-3.0-or-later", "LGPL-2.0-only", "LGPL-2.0-or-later", "LGPL-2.1-or-later", "LGPL-3.0-or-later",
            "NOASSERTION"}


class Archive:
    """The OCI layout, and what Docker's manifest.json says of the same files."""

    def __init__(self, path):
        self.tar = tarfile.open(path)
        self.index, self.docker = self.json("index.json"), self.json("manifest.json")[0]
        self.manifest = self.blob_json(self.index["manifests"][0])
        self.config = self.blob_json(self.manifest["config"])
        self.layer_tar = gzip.decompress(self.blob(self.manifest["layers"][0]))
        self.layer = tarfile.open(fileobj=io.BytesIO(self.layer_tar))
        self.members = {member.name: member for member in self.layer.getmembers()}

    def read(self, name):
        return self.tar.extractfile(name).read()

    def json(self, name):
        return json.loads(self.read(name))

    def blob(self, descriptor):
        """Whose digest and size are checked."""
        data = self.read("blobs/" + descriptor["digest"].replace(":", "/"))
        assert "sha256:" + hashlib.sha256(data).hexdigest() == descriptor["digest"]
        assert len(data) == descriptor["size"]
        return data

    def blob_json(self, descriptor):
        return json.loads(self.blob(descriptor))

    def file(self, name):
        return self.layer.extractfile(name).read()


@pytest.fixture(scope="module")
def archive():
    return Archive(BUILD / "kube-introspect-image.tar")


@pytest.fixture(scope="module")
def sbom():
    return json.loads((BUILD / "sbom.spdx.json").read_text())


# ---- the archive

def test_every_digest_is_that_of_its_content(archive):
    assert archive.config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(archive.layer_tar).hexdigest()]
    assert archive.docker["Config"] == "blobs/" + archive.manifest["config"]["digest"].replace(":", "/")
    assert archive.docker["Layers"] == ["blobs/" + each["digest"].replace(":", "/") for each in archive.manifest["layers"]]


def test_it_runs_the_program_as_nobody_in_particular(archive):
    config = archive.config["config"]
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["/usr/local/bin/kube-introspect"] and config["Cmd"] == ["serve"]
    program = archive.members["usr/local/bin/kube-introspect"]
    assert program.isreg() and program.mode == 0o755


def test_it_is_configured_as_the_containerfile_has_it(archive):
    text = (ROOT / "Containerfile").read_text()
    config = archive.config["config"]
    words = dict(re.findall(r"^(USER|ENTRYPOINT|CMD) (.*)$", text, re.MULTILINE))
    assert words["USER"] == config["User"]
    assert json.loads(words["ENTRYPOINT"]) == config["Entrypoint"] and json.loads(words["CMD"]) == config["Cmd"]
    labels = dict(re.findall(rf'({re.escape(PREFIX)}\w+)="([^"]*)"', text))
    assert set(labels) == set(config["Labels"]) == {PREFIX + name for name in (
        "title", "description", "licenses", "source", "version", "revision")}
    constant = {name: value for name, value in labels.items() if not value.startswith("$")}
    assert len(constant) == 3 and constant.items() <= config["Labels"].items()
    assert all(config["Labels"].values())


def test_nothing_in_it_is_writable_or_privileged_or_a_shell(archive):
    for name, member in archive.members.items():
        assert (member.uid, member.gid) == (0, 0), name
        assert member.issym() or not member.mode & 0o7022, f"{name}: mode {member.mode:o}"
    programs = [name for name, member in archive.members.items() if member.isreg() and member.mode & 0o111]
    assert len(programs) == 2 and "usr/local/bin/kube-introspect" in programs and any("ld-linux" in name for name in programs), programs


def test_the_program_starts_with_what_is_in_it(archive, tmp_path):
    """Its own loader, told to look nowhere else."""
    archive.layer.extractall(tmp_path)
    (loader,) = tmp_path.glob("usr/lib*/ld-linux*.so.*")
    (libraries,) = {path.parent for path in tmp_path.glob("usr/lib/*/libc.so.6")}
    command = [loader, "--inhibit-cache", "--library-path", libraries]
    listed = subprocess.run([*command, "--list", tmp_path / "usr/local/bin/kube-introspect"], capture_output=True, text=True, check=True)
    paths = re.findall(r"=> (\S+) \(", listed.stdout)
    assert len(paths) > 5 and all(path.startswith(str(tmp_path)) or "ld-linux" in path for path in paths), listed.stdout
    said = subprocess.run([*command, tmp_path / "usr/local/bin/kube-introspect", "version"], capture_output=True, text=True, check=True)
    assert said.stdout.startswith("kube-introspect ")


def test_it_trusts_the_authorities_that_debian_trusts(archive):
    bundle = archive.file("etc/ssl/certs/ca-certificates.crt").decode()
    assert bundle.count("-----BEGIN CERTIFICATE-----") == bundle.count("-----END CERTIFICATE-----") > 100


# ---- the list

def test_the_list_is_spdx(sbom):
    assert OF_DOCUMENT <= set(sbom) and sbom["spdxVersion"] == "SPDX-2.3" and sbom["dataLicense"] == "CC0-1.0"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", sbom["creationInfo"]["created"])
    assert all(re.match(r"(Tool|Person|Organization): ", creator) for creator in sbom["creationInfo"]["creators"])
    assert re.fullmatch(r"https://[^#\s]+", sbom["documentNamespace"])
    for package in sbom["packages"]:
        assert OF_PACKAGE <= set(package), package
        assert set(re.findall(r"[A-Za-z0-9.-]+", package["licenseDeclared"])) - {"AND", "OR"} <= LICENCES, package


def test_every_identifier_is_one_and_every_relationship_names_two(sbom):
    elements = [sbom["SPDXID"], *(each["SPDXID"] for each in [*sbom["packages"], *sbom["files"]])]
    assert len(elements) == len(set(elements)) and all(map(IDENTIFIER.fullmatch, elements))
    for relationship in sbom["relationships"]:
        assert {relationship["spdxElementId"], relationship["relatedSpdxElement"]} <= set(elements), relationship
    described = [each for each in sbom["relationships"] if each["relationshipType"] == "DESCRIBES"]
    assert len(described) == 1 and described[0]["spdxElementId"] == "SPDXRef-DOCUMENT"
    contained = {each["relatedSpdxElement"] for each in sbom["relationships"] if each["relationshipType"] == "CONTAINS"}
    assert contained == set(elements) - {"SPDXRef-DOCUMENT", described[0]["relatedSpdxElement"]}


def test_the_list_names_what_is_in_the_image(sbom, archive):
    recorded = {Path(name).name for name in archive.members if name.startswith("var/lib/dpkg/status.d/")}
    listed = {package["name"]: package for package in sbom["packages"] if package.get("supplier") == "Organization: Debian"}
    assert recorded == set(listed)
    for name, package in listed.items():
        control = archive.file(f"var/lib/dpkg/status.d/{name}").decode()
        assert re.search(r"^Version: (.*)$", control, re.MULTILINE)[1] == package["versionInfo"]
        assert f"usr/share/doc/{name}/copyright" in archive.members
        (checksum,) = package["checksums"]
        assert checksum["algorithm"] == "SHA256" and re.fullmatch(r"[0-9a-f]{64}", checksum["checksumValue"])


def test_the_list_has_the_program_by_its_checksums(sbom, archive):
    (program,) = sbom["files"]
    content = archive.file(program["fileName"].removeprefix("./"))
    found = {each["algorithm"]: each["checksumValue"] for each in program["checksums"]}
    assert found == {"SHA1": hashlib.sha1(content).hexdigest(), "SHA256": hashlib.sha256(content).hexdigest()}
    # A package that contains a file must say so, and have a code over the checksums of its files.
    (owner,) = [package for package in sbom["packages"] if package["name"] == "kube-introspect"]
    assert owner["filesAnalyzed"]
    assert owner["packageVerificationCode"]["packageVerificationCodeValue"] == hashlib.sha1(found["SHA1"].encode()).hexdigest()
