#!/usr/bin/env python3
"""Writes what the image is made of as an SPDX 2.3 document.

usage: sbom.py FOLDER DOCUMENT --version VERSION --revision COMMIT --created SECONDS

FOLDER is what hack/image/rootfs.sh has made. A package's licence is what its copyright file says of "Files: *", where that file is
machine-readable and the name is one that SPDX has; elsewhere it is NOASSERTION, and the copyright lies in the image.
"""

import argparse
import hashlib
import json
import re
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import quote

NOBODY_SAYS = "NOASSERTION"
PROGRAM = "usr/local/bin/kube-introspect"
# Debian's names of licences, and those of SPDX.
LICENCES = {
    "Apache-2.0": "Apache-2.0", "BSD-2-Clause": "BSD-2-Clause", "BSD-2-clause": "BSD-2-Clause", "BSD-3-Clause": "BSD-3-Clause",
    "BSD-3-clause": "BSD-3-Clause", "BSD3": "BSD-3-Clause", "Expat": "MIT", "MIT": "MIT", "ISC": "ISC", "curl": "curl",
    "Zlib": "Zlib", "zlib": "Zlib", "MPL-2.0": "MPL-2.0", "OpenLDAP-2.8": "OLDAP-2.8", "OLDAP-2.8": "OLDAP-2.8",
    "GPL-2": "GPL-2.0-only", "GPL-2+": "GPL-2.0-or-later", "GPL-3+": "GPL-3.0-or-later", "LGPL-2": "LGPL-2.0-only",
    "LGPL-2+": "LGPL-2.0-or-later", "LGPL-2.1+": "LGPL-2.1-or-later", "LGPL-3+": "LGPL-3.0-or-later",
}


def licence_of(copyright_text):
    """The SPDX expression for what most of the package is under."""
    if not re.match(r"Format:.*copyright-format", copyright_text):
        return NOBODY_SAYS
    for paragraph in re.split(r"\n\s*\n", copyright_text):
        if re.search(r"^Files:\s*\*\s*$", paragraph, re.MULTILINE):
            found = re.search(r"^License:[ \t]*(\S.*)$", paragraph, re.MULTILINE)
            return expression(found[1]) if found else NOBODY_SAYS
    return NOBODY_SAYS


def expression(debian):
    """Debian writes "A or B", "A, B" and "A and B"; with a name that SPDX does not have, nothing is said."""
    words = re.split(r"(\s+or\s+|\s+and\s+|\s*,\s*(?:and\s+)?)", debian.strip())
    operators = {"or" if word.strip() == "or" else "and" for word in words[1::2]}
    names = [LICENCES.get(name) for name in words[::2]]
    if None in names or len(operators) > 1:
        return NOBODY_SAYS
    joined = f" {(operators or {'and'}).pop().upper()} ".join(dict.fromkeys(names))
    return f"({joined})" if " OR " in joined else joined


def identifier(kind, name):
    return f"SPDXRef-{kind}-" + re.sub(r"[^A-Za-z0-9.-]", "-", name)


def debian_packages(folder):
    rows = [line.split("\t") for line in (folder / "packages.tsv").read_text().splitlines()]
    release = re.search(r'^VERSION_ID="?([^"\n]+)', (folder / "rootfs/etc/os-release").read_text(), re.MULTILINE)[1]
    for name, version, architecture, source, sha256 in rows:
        copyright_text = (folder / f"rootfs/usr/share/doc/{name}/copyright").read_text(errors="replace")
        yield {
            "SPDXID": identifier("Package", name), "name": name, "versionInfo": version, "supplier": "Organization: Debian",
            "downloadLocation": NOBODY_SAYS, "filesAnalyzed": False,
            "checksums": [{"algorithm": "SHA256", "checksumValue": sha256}],
            "sourceInfo": f"built from the Debian source package {source}",
            "licenseDeclared": licence_of(copyright_text), "licenseConcluded": NOBODY_SAYS, "copyrightText": NOBODY_SAYS,
            "externalRefs": [{
                "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                "referenceLocator": f"pkg:deb/debian/{quote(name)}@{quote(version, safe='')}?arch={architecture}&distro=debian-{release}",
            }],
        }


def own_package(version, revision, program):
    sha1 = program["checksums"][0]["checksumValue"]
    return {
        "SPDXID": identifier("Package", "kube-introspect"), "name": "kube-introspect", "versionInfo": version,
        "downloadLocation": NOBODY_SAYS, "sourceInfo": f"built from commit {revision}",
        # Chapter 7.9: over the SHA-1 of each of its files, which is one.
        "filesAnalyzed": True, "packageVerificationCode": {"packageVerificationCodeValue": hashlib.sha1(sha1.encode()).hexdigest()},
        "licenseInfoFromFiles": ["Apache-2.0"],
        "licenseDeclared": "Apache-2.0", "licenseConcluded": "Apache-2.0", "copyrightText": NOBODY_SAYS,
    }


def own_program(folder):
    content = (folder / "rootfs" / PROGRAM).read_bytes()
    return {
        "SPDXID": identifier("File", "kube-introspect"), "fileName": f"./{PROGRAM}", "fileTypes": ["BINARY"],
        "checksums": [{"algorithm": name.upper(), "checksumValue": hashlib.new(name, content).hexdigest()} for name in ("sha1", "sha256")],
        "licenseConcluded": "Apache-2.0", "licenseInfoInFiles": ["Apache-2.0"], "copyrightText": NOBODY_SAYS,
    }


def image(version):
    return {
        "SPDXID": identifier("Package", "image"), "name": "kube-introspect-image", "versionInfo": version,
        "primaryPackagePurpose": "CONTAINER", "downloadLocation": NOBODY_SAYS, "filesAnalyzed": False,
        "licenseDeclared": NOBODY_SAYS, "licenseConcluded": NOBODY_SAYS, "copyrightText": NOBODY_SAYS,
    }


def relationships(whole, own, program, packages):
    def related(element, kind, other):
        return {"spdxElementId": element["SPDXID"], "relationshipType": kind, "relatedSpdxElement": other["SPDXID"]}

    return [
        related({"SPDXID": "SPDXRef-DOCUMENT"}, "DESCRIBES", whole),
        *(related(whole, "CONTAINS", each) for each in (own, *packages)),
        related(own, "CONTAINS", program),
        *(related(own, "DEPENDS_ON", each) for each in packages),
    ]


def document(folder, version, revision, created):
    whole, program, packages = image(version), own_program(folder), list(debian_packages(folder))
    own = own_package(version, revision, program)
    content = {
        "packages": [whole, own, *packages], "files": [program],
        "relationships": relationships(whole, own, program, packages),
    }
    # The namespace names this document and no other: the same content, the same name.
    its_hash = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": f"kube-introspect-{version}",
        "documentNamespace": f"https://kube-introspect.io/spdx/{quote(version, safe='')}-{its_hash[:32]}",
        "creationInfo": {
            "created": datetime.fromtimestamp(created, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": ["Tool: kube-introspect-hack-image-sbom"],
        },
        **content,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("document", type=Path)
    parser.add_argument("--version", required=True)
    parser.add_argument("--revision", required=True)
    parser.add_argument("--created", required=True, type=int)
    given = parser.parse_args()
    made = document(given.folder, given.version, given.revision, given.created)
    given.document.write_text(json.dumps(made, indent=2, ensure_ascii=False) + "\n")


main()
