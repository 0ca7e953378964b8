#!/bin/bash
# Prints the alerts of manifests/components/alerts as a rules file of Prometheus, for who has no Prometheus operator.
#   hack/alert-rules.sh [URL]
#   URL    where this repository is to be seen by who is woken: put before the path of each runbook
#
#   hack/alert-rules.sh https://git.example.com/infra/kube-introspect/ >/etc/prometheus/rules/kube-introspect.yaml
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
url=${1:-}
# Only spec is left, and moves two columns to the left.
sed -n -e "s|^  \( *runbook_url: \)docs/|  \1${url//[&|\\]/\\&}docs/|" -e '/^spec:$/,$ s/^  //p' manifests/components/alerts/prometheusrule.yaml
