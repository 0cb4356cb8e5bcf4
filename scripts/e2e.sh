#!/usr/bin/env bash
# The chart on a kind cluster of its own, from images to uninstall; every task accounted for.
# Needs docker, kind, kubectl and helm. KEEP=1 leaves the cluster behind.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly cluster=asr-e2e namespace=asr release=asr server=http://127.0.0.1:8088
readonly context=kind-$cluster report=${REPORT:-/tmp/asr-e2e-report.json}
# controller-v1.12.1, by its commit; its images are named by digest
readonly ingress=https://raw.githubusercontent.com/kubernetes/ingress-nginx/64780b1fed3af99f4eccbc3fdad7ad785e8a83b6/deploy/static/provider/kind/deploy.yaml
readonly version=$(sed -n 's/^appVersion: //p' helm/asr-platform/Chart.yaml)

say() { printf '\n== %s\n' "$*"; }
die() { printf 'e2e: %s\n' "$*" >&2; exit 1; }
k() { kubectl --context "$context" -n "$namespace" "$@"; }
replicas() { k get deploy "$release-worker-default" -o jsonpath='{.spec.replicas}'; }

# until SECONDS WHAT COMMAND…: asks again each second.
until_true() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || die "not in time: $what"
    sleep 1
  done
}
some_workers() { [ "$(replicas)" -gt 0 ]; }
no_workers() { [ "$(replicas)" -eq 0 ]; }
served() { curl -fsS "$server/api/v1/health"; }

clean_up() {
  local status=$?
  if [ "$status" -ne 0 ]; then
    k get pods,wp,events || true
    k logs --tail=50 --prefix --all-containers -l app.kubernetes.io/instance="$release" || true
  fi
  [ -n "${KEEP:-}" ] || kind delete cluster --name "$cluster"
}

for tool in docker kind kubectl helm curl; do
  command -v "$tool" >/dev/null || die "$tool must be on PATH"
done
trap clean_up EXIT

say "a cluster with an ingress controller"
kind create cluster --name "$cluster" --config manifests/kind/cluster.yaml --wait 120s
kubectl --context "$context" apply -f "$ingress"
kubectl --context "$context" -n ingress-nginx wait --for=condition=Available deploy --all --timeout=300s

say "images"
make images
kind load docker-image --name "$cluster" \
  "asr-platform-api:$version" "asr-platform-worker:$version-cpu" "asr-platform-operator:$version"

say "install, under Pod Security restricted; no worker starts for it"
kubectl --context "$context" create namespace "$namespace"
kubectl --context "$context" label namespace "$namespace" pod-security.kubernetes.io/enforce=restricted
helm --kube-context "$context" install "$release" helm/asr-platform -n "$namespace" \
  -f helm/asr-platform/values-dev.yaml --wait --timeout 10m
[ -z "$(k get pods -o name -l app.kubernetes.io/component=worker)" ] || die "an install has started workers"
until_true 120 "the API behind the ingress" served

say "helm test"
helm --kube-context "$context" test "$release" -n "$namespace" --timeout 10m

say "no work, no workers"
until_true 900 "none, once nothing is to do" no_workers

say "load through the ingress; a worker and Redis are killed, the chart is upgraded"
.venv/bin/asr load-test 8 180 --server "$server" --json "$report" &
readonly load=$!
until_true 300 "workers, once there is work" some_workers
sleep 40
k delete pod -l app.kubernetes.io/component=worker --grace-period=0 --force --wait=false
sleep 30
k delete pod "$release-redis-0" --grace-period=0 --force
k rollout status "statefulset/$release-redis" --timeout=120s
sleep 20
helm --kube-context "$context" upgrade "$release" helm/asr-platform -n "$namespace" \
  -f helm/asr-platform/values-dev.yaml --set logLevel=DEBUG --wait --timeout 10m
wait "$load" || die "the load test lost a task, or none was completed: $report"

say "and back to none"
until_true 900 "none again" no_workers

say "uninstall: nothing hangs, and only data stays"
helm --kube-context "$context" uninstall "$release" -n "$namespace" --wait --timeout 3m
until_true 120 "all pods gone" bash -c "[ -z \"\$(kubectl --context $context -n $namespace get pods -o name)\" ]"
left=$(k get deploy,sts,svc,cm,secret,lease,wp,role,rolebinding,sa,networkpolicy,cronjob -o name \
  -l app.kubernetes.io/instance="$release")
[ -z "$left" ] || die "left behind: $left"
say "done"
