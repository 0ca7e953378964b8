# shellcheck shell=bash
# shellcheck disable=SC2034  # for the scripts that source this
# What the images of the control plane are called in a node that we made ourselves; hack/kind/node/etc/containerd/config.toml names
# the pause image too.
REPOSITORY=localhost/kubernetes
PAUSE_TAG=3.10.1 ETCD_TAG=3.6.4-0 COREDNS_TAG=v1.14.4
