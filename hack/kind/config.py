#!/usr/bin/env python3
"""Writes kind's configuration of a cluster whose API server has the flags and files of manifests/apiserver.

usage: config.py STATE CACHE_TTL [REPOSITORY ETCD_TAG COREDNS_TAG]

STATE/introspect and STATE/logs become the folders that manifests/apiserver/kubeadm.yaml names; the API server also gets the files that
make it ask about requests and changes, which it does once users carry a handle. CACHE_TTL takes the place of its
authentication-token-webhook-cache-ttl. The rest is for a node image of our own, which has neither kind's network nor its registry.
"""

import json
import sys
from pathlib import Path

import yaml

MANIFESTS = Path(__file__).resolve().parents[2] / "manifests" / "apiserver"
KUBEADM = ("kubeadm.yaml", "kubeadm-authorization.yaml", "kubeadm-admission.yaml")
PODS_RESOLVER = "/kind/resolv.conf"


def api_server(cache_ttl):
    """The part of kubeadm's configuration, in the form that kind knows: v1beta3, where arguments are a mapping."""
    shipped = [yaml.safe_load((MANIFESTS / name).read_text())["apiServer"] for name in KUBEADM]
    arguments = {argument["name"]: argument["value"] for part in shipped for argument in part["extraArgs"]}
    volumes = [volume for part in shipped for volume in part.get("extraVolumes", [])]
    return {"extraArgs": {**arguments, "authentication-token-webhook-cache-ttl": cache_ttl}, "extraVolumes": volumes}


def mounts(state, volumes):
    """A folder of ours for each that the API server gets from its host."""
    ours = {"introspect": state / "introspect", "audit": state / "logs"}
    return [{"hostPath": str(ours[volume["name"]]), "containerPath": volume["hostPath"]} for volume in volumes]


def own_image(repository, etcd_tag, coredns_tag):
    etcd = {"local": {"imageTag": etcd_tag, "extraArgs": {"unsafe-no-fsync": "true"}}}
    return {"imageRepository": repository, "etcd": etcd, "dns": {"imageTag": coredns_tag}}


def cluster(state, cache_ttl, *own):
    server = api_server(cache_ttl)
    patches = [{"kind": "ClusterConfiguration", "apiServer": server, **(own_image(*own) if own else {})}]
    if own:
        patches.append({"kind": "KubeletConfiguration", "resolvConf": PODS_RESOLVER})
    return {
        "kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {"disableDefaultCNI": bool(own), "podSubnet": "10.244.0.0/16", "serviceSubnet": "10.96.0.0/16"},
        "nodes": [{"role": "control-plane", "extraMounts": mounts(state, server["extraVolumes"])}],
        "kubeadmConfigPatches": [yaml.safe_dump(patch) for patch in patches],
    }


print(json.dumps(cluster(Path(sys.argv[1]), *sys.argv[2:]), indent=2))
