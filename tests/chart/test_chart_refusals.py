"""Wrong values are refused, with a message that says which and why, by helm 3 and helm 4."""

from __future__ import annotations

from pathlib import Path

import pytest

from chart.tools import Helm

POOL = "pools[0].name=default"
EXTERNAL = "redis.enabled=false,redis.external.existingSecret"
# What is set, and what the message must name.
WRONG = {
    "an unknown value": ("replicaz=1", "replicaz"),
    "an unknown value of a part": ("api.replica=1", "replica"),
    "a number as text": ("api.replicas=two", "replicas"),
    "no replicas": ("api.replicas=0", "replicas"),
    "a port out of range": ("ports.api=70000", "api"),
    "an unknown log level": ("logLevel=verbose", "logLevel"),
    "an unknown way to authenticate": ("auth.mode=password", "mode"),
    "a bare off, which YAML reads as false": ("auth.mode=false", "string"),
    "an unknown kind of store": ("store.type=ftp", "type"),
    "an unknown access mode": ("store.pvc.accessModes[0]=Everyone", "accessModes"),
    "a size without a number": ("redis.persistence.size=large", "size"),
    "a memory limit of Redis in Kubernetes's unit": ("redis.maxmemory=1Gi", "maxmemory"),
    "root as the user": ("security.runAsUser=0", "runAsUser"),
    "a digest that is none": ("images.api.digest=abc", "digest"),
    "an empty image": ("images.api.repository=", "repository"),
    "a suffix of an image that has none": ("images.api.cpuSuffix=-cpu", "cpuSuffix"),
    "an unknown pull policy": ("images.api.pullPolicy=Sometimes", "pullPolicy"),
    "a setting in small letters": ("settings.queue_cap=5", "queue_cap"),
    "a pool without a name": ("pools[0].replicas=1", "name"),
    "a pool with capitals": ("pools[0].name=GPU", "name"),
    "an unknown field of scaling": (f"{POOL},pools[0].scaling.min=1", "scaling"),
    "a wait of nothing": ("worker.scaling.targetWaitSeconds=0", "targetWaitSeconds"),
    "a fallback without replicas": ("worker.scaling.fallback.afterSeconds=5", "replicas"),
    "an unknown engine": ("worker.model.engine=vosk", "engine"),
    "a short checksum": (
        "worker.model.archive.url=https://e.example/m,worker.model.archive.sha256=12", "sha256"
    ),
    "no GPUs": ("worker.gpu.count=0", "count"),
    "a schedule of four fields": ("retention.results.schedule=* * * *", "schedule"),
    "an age below nothing": ("retention.results.maxAgeDays=-1", "maxAgeDays"),
    "a scrape interval without a unit": ("monitoring.scrape.interval=15", "interval"),
    "a label that is no text": ("api.podLabels.a.b=1", "podLabels"),
    "a lease of a second": ("operator.leaseSeconds=1", "leaseSeconds"),
    "a setting that is neither a value nor from somewhere": ("settings.HF_TOKEN.value=x", "value"),
    "an unknown family of addresses": ("ipFamilies={IPv5}", "ipFamilies"),
    "a host with a scheme": ("api.allowedHosts={https://asr.example}", "allowedHosts"),
    "a Redis URL as a host": ("redis.external.host=redis://x", "host"),
    "a volume without a name": ("workloads.extraVolumes[0].emptyDir.medium=Memory", "name"),
    "an unknown value of a pool": (f"{POOL},pools[0].replicaz=1", "replicaz"),
    "an unknown value of all workloads": ("workloads.image=x", "image"),
}  # fmt: skip

CONFLICTS = {
    "replicas of a pool beside the operator": (
        f"{POOL},pools[0].replicas=3", "pool default sets replicas, which the operator owns"),
    "replicas of all workers beside the operator": (
        "worker.replicas=3", "which the operator owns"),
    "KEDA beside the operator": (
        f"{POOL},pools[0].keda.enabled=true", "two would write the same replicas"),
    "an HPA beside the operator": (
        f"{POOL},pools[0].autoscaling.enabled=true", "two would write the same replicas"),
    "an autoscaler that this chart does not make": (
        f"operator.enabled=false,{POOL},pools[0].hpa.max=3",
        "put your autoscaler into extraObjects"),
    "a ScaledObject on our workers": (
        "extraObjects[0].apiVersion=keda.sh/v1alpha1,extraObjects[0].kind=ScaledObject"
        ",extraObjects[0].metadata.name=mine"
        ",extraObjects[0].spec.scaleTargetRef.name=asr-worker-default",
        "ScaledObject mine on the Deployment asr-worker-default"),
    "replicas of the API beside its autoscaler": (
        "api.replicas=3,api.autoscaling.enabled=true", "exclude each other"),
    "an autoscaler's least above its most": (
        "api.autoscaling.minReplicas=30", "is above maxReplicas"),
    "a pool's least above its most": (
        f"{POOL},pools[0].scaling.minReplicas=9", "is above scaling.maxReplicas (8)"),
    "a fallback above the most": (
        "worker.scaling.fallback.replicas=20", "is above scaling.maxReplicas (8)"),
    "replicas of a pause without the pause": (
        f"{POOL},pools[0].scaling.pausedReplicas=3", "pausedReplicas needs scaling.paused=true"),
    "replicas of a pause above the most": (
        "worker.scaling.paused=true,worker.scaling.pausedReplicas=9",
        "pausedReplicas (9) is above scaling.maxReplicas (8)"),
    "a grace period too short to drain": (
        "worker.terminationGracePeriodSeconds=60", "a draining worker is killed"),
    "two pools of one name": (f"{POOL},pools[1].name=default", "two pools are called default"),
    "no default pool": ("pools[0].name=large", "no pool is called default"),
    "a bucket without a URL": ("store.type=s3", "begins with s3://"),
    "a bucket of another cloud": ("store.type=gcs,store.url=s3://b/p", "begins with gs://"),
    "a URL without a bucket": ("store.url=s3://b/p", "store.url is for buckets"),
    "a store that one node alone can mount": (
        "store.pvc.accessModes[0]=ReadWriteOnce", "must have ReadWriteMany"),
    "no Redis at all": ("redis.enabled=false", "needs redis.external.host, or"),
    "two Redis": ("redis.external.existingSecret=mine", "exclude each other"),
    "an exporter without its Redis": (
        "redis.enabled=false,redis.external.existingSecret=x,redis.exporter.enabled=true",
        "set redis.exporter.enabled=false"),
    "no WorkerPool resource": ("crds.install=false", "install the WorkerPool resource first"),
    "a model by name and by archive": (
        "worker.model.name=x,worker.model.archive.url=https://e.example/m"
        f",worker.model.archive.sha256={'a' * 64}", "exclude each other"),
    "a model that is not the same for all": ("worker.model.name=auto", "name one, such as"),
    "a revision of what is pinned": (
        "worker.model.name=base,worker.model.revision=v2", "is pinned by the hashes"),
    "a volume over the image's models": (
        "worker.modelCache.inImage=true,worker.modelCache.persistent=true", "would hide"),
    "an archive without a way out": (
        "worker.model.offline=true,worker.model.archive.url=https://e.example/m"
        f",worker.model.archive.sha256={'a' * 64}", "lets nobody be asked"),
    "a server of models nowhere": ("worker.model.engine=remote", "needs either remote.url"),
    "a server of models in two places": (
        "worker.model.engine=remote,worker.remote.url=http://a,worker.remote.sidecar.image=b",
        "needs either remote.url"),
    "a server that no engine asks": (
        f"{POOL},pools[0].remote.url=http://a", "remote is for model.engine=remote, not auto"),
    "a server that no pool asks": ("worker.remote.url=http://a", "no pool has model.engine=remote"),
    "a common label by which pods are found": (
        r"commonLabels.app\.kubernetes\.io/component=x",
        "commonLabels has app.kubernetes.io/component"),
    "a pod's label by which pods are found": (
        r"api.podLabels.app\.kubernetes\.io/name=x", "api.podLabels has app.kubernetes.io/name"),
    "a pool's label by which pods are found": (
        rf"{POOL},pools[0].podLabels.asr-platform\.dev/pool=x",
        "podLabels of the pool default has asr-platform.dev/pool"),
    "Helm's own label": (
        r"workloads.labels.app\.kubernetes\.io/managed-by=me",
        "workloads.labels has app.kubernetes.io/managed-by"),
    "two listeners on a port": (
        "ports.operatorHealth=9102", "ports.operatorHealth are both 9102"),
    "a sidecar with the name of a container of the chart": (
        "workloads.sidecars[0].name=worker", "a container of yours is called worker"),
    "two Redis by host": ("redis.external.host=mine", "exclude each other"),
    "a certificate without its key": (
        f"{EXTERNAL}=x,redis.external.certKey=c", "certKey and redis.external.keyKey go together"),
    "an authority without TLS": (
        f"{EXTERNAL}=x,redis.external.host=h,redis.external.caKey=c", "redis.external.tls=true"),
    "certificates without a Secret": (
        "redis.enabled=false,redis.external.host=h,redis.external.tls=true,redis.external.caKey=c",
        "redis.external.tlsSecret, which is unset"),
    "authorities from two places": (
        "caBundle.secret=a,caBundle.configMap=b", "exclude each other"),
    "a route without a gateway": ("api.httpRoute.enabled=true", "needs api.httpRoute.parentRefs"),
    "a load balancer's class of another Service": (
        "api.service.loadBalancerClass=x", "needs api.service.type=LoadBalancer, not ClusterIP"),
    "two families for a single stack": (
        "ipFamilies={IPv4,IPv6}", "two ipFamilies need ipFamilyPolicy"),
    "a release that is not enabled": ("enabled=false", "as its condition"),
}  # fmt: skip

# What a cluster must know, and by which value it is asked for.
RESOURCES = {
    "monitoring.scrape.enabled": ("monitoring.coreos.com/v1/ServiceMonitor", "Prometheus Operator"),
    "monitoring.rules.enabled": ("monitoring.coreos.com/v1/PrometheusRule", "Prometheus Operator"),
    "api.httpRoute.enabled": ("gateway.networking.k8s.io/v1/HTTPRoute", "Gateway API"),
}


def refusal(helm: Helm, chart: Path, settings: str) -> str:
    tried = helm.run("template", "asr", str(chart), "--set", settings)
    assert tried.returncode != 0, tried.stdout[-300:]
    return tried.stderr


@pytest.mark.parametrize(("settings", "named"), WRONG.values(), ids=WRONG)
def test_a_wrong_value_is_refused_by_name(
    helm: Helm, chart_folder: Path, settings: str, named: str
) -> None:
    told = refusal(helm, chart_folder, settings)
    assert "don't meet the specifications of the schema" in told
    assert named in told.partition("asr-platform:")[2]
    assert len(told.splitlines()) < 8


@pytest.mark.parametrize(("settings", "reason"), CONFLICTS.values(), ids=CONFLICTS)
def test_values_that_contradict_each_other_are_refused_with_the_reason(
    any_helm: Helm, chart_folder: Path, settings: str, reason: str
) -> None:
    assert reason in refusal(any_helm, chart_folder, settings)


@pytest.mark.parametrize(("value", "needed"), RESOURCES.items(), ids=RESOURCES)
def test_a_kind_that_the_cluster_does_not_know_is_refused_with_what_brings_it(
    any_helm: Helm, chart_folder: Path, value: str, needed: tuple[str, str]
) -> None:
    kind, bringer = needed
    asked = ["template", "asr", str(chart_folder), "--set", f"{value}=true"]
    asked += ["--set", "api.httpRoute.parentRefs[0].name=gate"]
    assert any_helm.run(*asked).returncode == 0
    of_a_cluster = [*asked, "--api-versions", "apps/v1/Deployment"]
    told = any_helm.run(*of_a_cluster)
    assert told.returncode != 0
    for words in (f"{value} needs {kind}", bringer, f"{value}=false"):
        assert words in told.stderr
    known = [kind, "monitoring.coreos.com/v1/PodMonitor"]
    brought = [word for each in known for word in ("--api-versions", each)]
    assert any_helm.run(*of_a_cluster, *brought).returncode == 0
