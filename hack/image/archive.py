#!/usr/bin/env python3
"""Writes a folder as an image archive of one layer, without a container engine or a registry.

usage: archive.py FOLDER ARCHIVE --name NAME:TAG --created SECONDS [--user ID] [--entrypoint WORD]... [--command WORD]...
                  [--environment NAME=VALUE]... [--label NAME=VALUE]... [--architecture NAME] [--uncompressed]

The archive is an OCI image layout that has Docker's manifest.json as well: "docker load", "podman load", "ctr images import" and
"kind load image-archive" take it. The same folder gives the same archive, byte for byte: files in order, owned by root, every time
that of --created.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import stat
import tarfile
from datetime import datetime, timezone
from pathlib import Path

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def entries(folder):
    """All below the folder, a folder before what it holds, in the order of their names."""
    for entry in sorted(os.scandir(folder), key=lambda each: each.name):
        yield Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from entries(entry.path)


def layer_of(folder, created):
    """The folder as a tar file."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in entries(folder):
            member = tar.gettarinfo(path, arcname=str(path.relative_to(folder)))
            assert member is not None, f"{path} is neither file, folder nor link"
            if member.islnk():  # a second name of a file: the tree is what counts, not how it lies on this disk
                member.type, member.linkname, member.size = tarfile.REGTYPE, "", path.stat().st_size
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mtime = created
            member.mode = stat.S_IMODE(member.mode) if not member.issym() else 0o777
            with open(path, "rb") if member.isreg() else io.BytesIO() as file:
                tar.addfile(member, file)
    return output.getvalue()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def packed(document):
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


class Blobs:
    """What a layout names by its digest."""

    def __init__(self):
        self.files = {}

    def add(self, data, media_type):
        self.files[self.path(digest(data))] = data
        return {"mediaType": media_type, "digest": digest(data), "size": len(data)}

    @staticmethod
    def path(its_digest):
        return "blobs/" + its_digest.replace(":", "/")


def configuration(arguments, layer):
    created = datetime.fromtimestamp(arguments.created, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    config = {
        "Env": [PATH, *arguments.environment],
        "Labels": dict(label.split("=", 1) for label in arguments.label),
        "WorkingDir": "/",
    }
    for name, value in (("User", arguments.user), ("Entrypoint", arguments.entrypoint), ("Cmd", arguments.command)):
        if value:
            config[name] = value
    return {
        "architecture": arguments.architecture, "os": "linux", "created": created, "config": config,
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        "history": [{"created": created, "created_by": "hack/image/archive.py"}],
    }


def layout(arguments):
    """The files of the archive: path and content."""
    layer = layer_of(arguments.folder, arguments.created)
    blobs = Blobs()
    layer_at = blobs.add(layer, LAYER) if arguments.uncompressed else blobs.add(gzip.compress(layer, 9, mtime=0), LAYER + "+gzip")
    config_at = blobs.add(packed(configuration(arguments, layer)), CONFIG)
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config_at, "layers": [layer_at]}
    manifest_at = blobs.add(packed(manifest), MANIFEST)
    manifest_at["annotations"] = {"io.containerd.image.name": arguments.name,
                                  "org.opencontainers.image.ref.name": arguments.name.rpartition(":")[2]}
    docker = [{"Config": blobs.path(config_at["digest"]), "RepoTags": [arguments.name], "Layers": [blobs.path(layer_at["digest"])]}]
    return {
        **blobs.files,
        "index.json": packed({"schemaVersion": 2, "mediaType": INDEX, "manifests": [manifest_at]}),
        "manifest.json": packed(docker),
        "oci-layout": packed({"imageLayoutVersion": "1.0.0"}),
    }


def write(files, archive, created):
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(files[name]), 0o644, created
            tar.addfile(member, io.BytesIO(files[name]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--created", required=True, type=int)
    parser.add_argument("--user", default="")
    parser.add_argument("--architecture", default="amd64")
    parser.add_argument("--uncompressed", action="store_true")
    for option in ("--entrypoint", "--command", "--environment", "--label"):
        parser.add_argument(option, action="append", default=[])
    arguments = parser.parse_args()
    write(layout(arguments), arguments.archive, arguments.created)


main()
