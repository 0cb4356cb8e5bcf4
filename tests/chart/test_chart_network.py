"""Where each part may go, by the rendered NetworkPolicies, judged as a network plugin does."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

Json = dict[str, Any]
WORLD, PRIVATE = "203.0.113.7", "10.3.2.1"
NODE_DNS, POD_DNS, NODE_DNS_IPV6 = "169.254.20.10", "10.128.0.9", "fd00:10::53"
PODS_IDENTITY, PODS_IDENTITY_IPV6 = "169.254.170.23", "fd00:ec2::23"
METADATA, METADATA_IPV6, GKE_METADATA = "169.254.169.254", "fd00:ec2::254", "169.254.169.252"
STORE_USERS = ("api", "courier", "worker", "retention")
S3 = "store.type=s3,store.url=s3://bucket/asr"


def reaches(
    rendered: Any, part: str, address: str, port: int, protocol: str = "TCP", pool: str = "default"
) -> bool:
    """Whether a pod of the part may send to this address, which is no pod of the release."""
    labels = {
        "app.kubernetes.io/name": "asr-platform",
        "app.kubernetes.io/instance": "asr",
        "app.kubernetes.io/component": part,
        **({"asr-platform.dev/pool": pool} if part == "worker" else {}),
    }.items()
    meant = [
        each["spec"]
        for each in rendered.of_kind("NetworkPolicy")
        if each["spec"]["podSelector"]["matchLabels"].items() <= labels
        and "Egress" in each["spec"]["policyTypes"]
    ]
    assert meant, f"nothing keeps {part} in"
    rules = [rule for spec in meant for rule in spec.get("egress", ())]
    return any(_has_port(rule, port, protocol) and _has_address(rule, address) for rule in rules)


def _has_port(rule: Json, port: int, protocol: str) -> bool:
    ports = rule.get("ports")
    return not ports or any((p["port"], p["protocol"]) == (port, protocol) for p in ports)


def _has_address(rule: Json, address: str) -> bool:
    if not rule.get("to"):
        return True
    return any(_in_block(peer["ipBlock"], address) for peer in rule["to"] if "ipBlock" in peer)


def _in_block(block: Json, address: str) -> bool:
    def holds(network: str) -> bool:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network)

    return holds(block["cidr"]) and not any(holds(each) for each in block.get("except", ()))


def admits(
    rendered: Any, part: str, port: str, namespace: str, pod: Json, *, own: str = "asr"
) -> bool:
    """Whether a pod with these labels, in a namespace so called, reaches a port of the part."""
    labels = {
        "app.kubernetes.io/name": "asr-platform",
        "app.kubernetes.io/instance": "asr",
        "app.kubernetes.io/component": part,
    }.items()
    meant = [
        each["spec"]
        for each in rendered.of_kind("NetworkPolicy")
        if each["spec"]["podSelector"]["matchLabels"].items() <= labels
        and "Ingress" in each["spec"]["policyTypes"]
    ]
    assert meant, f"everybody reaches {part}"
    rules = [rule for spec in meant for rule in spec.get("ingress", ())]
    return any(
        any(each["port"] == port for each in rule["ports"])
        and (not rule.get("from") or any(_is_peer(p, namespace, pod, own) for p in rule["from"]))
        for rule in rules
    )


def _is_peer(peer: Json, namespace: str, pod: Json, own: str) -> bool:
    """Both selectors must fit; without one for namespaces, only the policy's own is meant."""
    if "ipBlock" in peer:
        return False
    where = {"kubernetes.io/metadata.name": namespace}
    there = (
        _selects(peer["namespaceSelector"], where)
        if "namespaceSelector" in peer
        else namespace == own
    )
    return there and _selects(peer.get("podSelector", {}), pod)


def _selects(selector: Json, labels: Json) -> bool:
    wanted = selector.get("matchLabels", {}).items() <= labels.items()
    expressions = selector.get("matchExpressions", ())
    assert all(each["operator"] == "In" for each in expressions)
    return wanted and all(labels.get(each["key"]) in each["values"] for each in expressions)


PROMETHEUS = {"app.kubernetes.io/name": "prometheus"}
METRICS = [("worker", "metrics"), ("courier", "metrics"), ("operator", "metrics"),
           ("redis", "exporter")]  # fmt: skip


@pytest.mark.parametrize(("part", "port"), METRICS)
def test_metrics_are_read_by_prometheus_and_by_nobody_else(
    render: Any, part: str, port: str
) -> None:
    """They name tenants' queues and versions. A pod may give itself a label, but no namespace."""
    made = render("--set", "redis.exporter.enabled=true")
    for namespace in ("monitoring", "prometheus", "openshift-user-workload-monitoring"):
        assert admits(made, part, port, namespace, PROMETHEUS)
    assert not admits(made, part, port, "monitoring", {"app.kubernetes.io/name": "grafana"})
    assert not admits(made, part, port, "asr", PROMETHEUS)
    assert not admits(made, part, port, "of-a-tenant", PROMETHEUS)
    assert not admits(made, part, port, "of-a-tenant", {})


@pytest.mark.parametrize(("part", "port"), METRICS)
def test_who_reads_metrics_can_be_said(render: Any, part: str, port: str) -> None:
    exporter = ("--set", "redis.exporter.enabled=true")
    peers = '[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"watch"}}}]'
    mine = render(*exporter, "--set-json", f"networkPolicies.metricsFrom={peers}")
    assert admits(mine, part, port, "watch", {})
    assert not admits(mine, part, port, "monitoring", PROMETHEUS)
    everybody = render(*exporter, "--set-json", "networkPolicies.metricsFrom=[]")
    assert admits(everybody, part, port, "of-a-tenant", {})


def test_an_api_that_is_closed_lets_prometheus_in(render: Any) -> None:
    peers = '[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"entrance"}}}]'
    made = render("--set-json", f"networkPolicies.apiFrom={peers}")
    assert admits(made, "api", "http", "entrance", {})
    assert admits(made, "api", "http", "monitoring", PROMETHEUS)
    assert not admits(made, "api", "http", "of-a-tenant", PROMETHEUS)


@pytest.mark.parametrize("part", [*STORE_USERS, "operator", "test"])
@pytest.mark.parametrize("address", [NODE_DNS, POD_DNS, NODE_DNS_IPV6])
@pytest.mark.parametrize("port", [53, 5353])
def test_names_are_looked_up_at_the_pods_ports_and_at_a_cache_on_the_node(
    render: Any, part: str, address: str, port: int
) -> None:
    """Policies see the pod's port behind the Service: OpenShift's DNS pods listen at 5353."""
    for protocol in ("UDP", "TCP"):
        assert reaches(render(), part, address, port, protocol)


def test_dns_can_be_narrowed_to_who_answers_it(render: Any) -> None:
    peers = '[{"ipBlock":{"cidr":"169.254.20.10/32"}}]'
    made = render("--set-json", f"networkPolicies.dnsTo={peers},networkPolicies.dnsPorts=[53]")
    assert reaches(made, "worker", NODE_DNS, 53, "UDP")
    assert not reaches(made, "worker", POD_DNS, 53, "UDP")
    assert not reaches(made, "worker", NODE_DNS, 5353, "UDP")


IDENTITIES = {
    "EKS Pod Identity": (S3, PODS_IDENTITY, 80, STORE_USERS),
    "EKS Pod Identity, IPv6": (S3, PODS_IDENTITY_IPV6, 80, STORE_USERS),
    "EC2 instances": (S3, METADATA, 80, ("api", "worker", "retention")),
    "EC2 instances, IPv6": (S3, METADATA_IPV6, 80, ("api", "worker", "retention")),
    "GKE, Dataplane V1": ("store.type=gcs,store.url=gs://b/p", GKE_METADATA, 988, STORE_USERS),
    "GKE, Dataplane V2": ("store.type=gcs,store.url=gs://b/p", METADATA, 80, STORE_USERS),
    "Azure instances": (
        "store.type=azure,store.url=az://c/p", METADATA, 80, ("api", "worker", "retention")
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "address", "port", "parts"), IDENTITIES.values(), ids=IDENTITIES
)
def test_who_uses_a_bucket_by_identity_reaches_where_the_cloud_hands_it_out(
    render: Any, settings: str, address: str, port: int, parts: tuple[str, ...]
) -> None:
    """A webhook must not lead to the node's own identity, so the courier is kept from that."""
    made = render("--set", settings)
    reached = {part for part in (*STORE_USERS, "operator") if reaches(made, part, address, port)}
    assert reached == set(parts)


def test_without_identities_nobody_reaches_them(render: Any) -> None:
    keys, off = "store.existingSecret=keys", "networkPolicies.identity=false"
    for settings in ("api.replicas=2", f"{S3},{keys}", f"{S3},{off}"):
        made = render("--set", settings)
        for part in (*STORE_USERS, "operator", "test"):
            for address in (METADATA, GKE_METADATA, PODS_IDENTITY, METADATA_IPV6):
                assert not reaches(made, part, address, 80), (settings, part, address)


def test_another_cloud_can_be_named(render: Any) -> None:
    endpoints = '[{"cidr":"100.100.100.200/32","ports":[80]}]'
    made = render(
        "--set", f"{S3},store.existingSecret=keys,networkPolicies.identity=true",
        "--set-json", f"networkPolicies.identityEndpoints.s3={endpoints}",
    )  # fmt: skip
    assert reaches(made, "worker", "100.100.100.200", 80)
    assert not reaches(made, "worker", METADATA, 80)


PROXIES = {
    "a name": ("settings.HTTPS_PROXY=http://user:secret@proxy.corp:3128", PRIVATE, 3128),
    "an address": ("settings.HTTPS_PROXY=http://10.3.2.1:3128/", PRIVATE, 3128),
    "an IPv6 address": ("settings.HTTP_PROXY=http://[fd12::8]:8080", "fd12::8", 8080),
    "no port": ("settings.HTTPS_PROXY=https://proxy.corp", PRIVATE, 443),
    "a small name of the variable": ("settings.https_proxy=http://proxy.corp:3128", PRIVATE, 3128),
    "SOCKS": ("settings.ALL_PROXY=socks5h://proxy.corp", PRIVATE, 1080),
    "a port by value": ("networkPolicies.proxyPorts[0]=8888", PRIVATE, 8888),
    "by value, for a place": (
        "networkPolicies.proxyPorts[0]=8888,networkPolicies.proxyTo[0].ipBlock.cidr=10.3.2.1/32",
        PRIVATE, 8888),
}  # fmt: skip


@pytest.mark.parametrize(("settings", "address", "port"), PROXIES.values(), ids=PROXIES)
def test_a_proxy_is_reached(render: Any, settings: str, address: str, port: int) -> None:
    made = (
        render("--set-string", settings)
        if "_proxy" in settings.lower()
        else render("--set", settings)
    )
    for part in ("api", "worker", "retention", "operator"):
        assert reaches(made, part, address, port)
        assert not reaches(made, part, address, 3333)


def test_a_proxy_of_one_part_is_for_that_part(render: Any) -> None:
    made = render(
        "--set-string", "pools[0].name=default,pools[0].env.HTTPS_PROXY=http://proxy.corp:3128"
    )
    assert reaches(made, "worker", PRIVATE, 3128)
    assert not reaches(made, "api", PRIVATE, 3128)


@pytest.mark.parametrize("port", [80, 443, 3128, 8080])
@pytest.mark.parametrize("address", [PRIVATE, METADATA, "192.168.0.9", "fd12::8", METADATA_IPV6])
@pytest.mark.parametrize(
    "settings",
    [
        "settings.HTTPS_PROXY=http://proxy.corp:3128",
        "networkPolicies.proxyPorts[0]=3128,networkPolicies.proxyPorts[1]=8080",
        "networkPolicies.identity=true",
        f"{S3},networkPolicies.storePorts[0]=9000",
    ],
)
def test_no_rule_leads_the_courier_into_private_networks(
    render: Any, settings: str, address: str, port: int
) -> None:
    flag = "--set-string" if "_proxy" in settings.lower() else "--set"
    made = render(flag, settings)
    assert not reaches(made, "courier", address, port)
    assert reaches(made, "courier", WORLD, 443)


def test_the_courier_reaches_a_proxy_of_a_private_network_that_is_named(render: Any) -> None:
    for settings in (
        "settings.HTTPS_PROXY=http://10.3.2.1:3128",
        "settings.HTTPS_PROXY=http://proxy.corp:3128,networkPolicies.proxyTo[0].ipBlock.cidr=10.3.2.0/24",
    ):
        made = render("--set-string", settings)
        assert reaches(made, "courier", PRIVATE, 3128)
        assert not reaches(made, "courier", "10.9.9.9", 3128)


def test_a_bucket_can_be_narrowed_to_where_it_is(render: Any) -> None:
    made = render("--set", f"{S3},networkPolicies.storeTo[0].ipBlock.cidr=10.3.2.1/32")
    assert reaches(made, "courier", PRIVATE, 443)
    assert not reaches(made, "courier", "10.9.9.9", 443)


@pytest.mark.parametrize(
    ("url", "port"), [("http://models.corp/m.tar", 80), ("https://models.corp:8443/m.tar", 8443)]
)
def test_a_model_s_archive_is_reached_at_its_port(render: Any, url: str, port: int) -> None:
    archive = f"worker.model.archive.url={url},worker.model.archive.sha256={'a' * 64}"
    assert reaches(render("--set", archive), "worker", PRIVATE, port)
    closed = render("--set", f"{archive},networkPolicies.modelDownloads=false")
    assert not reaches(closed, "worker", PRIVATE, port)
    assert not reaches(render(), "worker", PRIVATE, port)


def test_sentinels_and_the_servers_that_they_name_are_reached(render: Any) -> None:
    own = "redis.enabled=false,redis.external.existingSecret=redis,redis.external.port=26379"
    made = render("--set", f"{own},networkPolicies.redisPorts[0]=6379")
    narrowed = render("--set", f"{own},networkPolicies.redisTo[0].ipBlock.cidr=10.3.2.0/24")
    for part in ("api", "courier", "worker", "operator", "retention"):
        assert reaches(made, part, PRIVATE, 26379)
        assert reaches(made, part, PRIVATE, 6379)
        assert reaches(narrowed, part, PRIVATE, 26379)
        assert not reaches(narrowed, part, "10.9.9.9", 26379)


@pytest.mark.parametrize(
    ("settings", "port", "reached"),
    [
        ("worker.model.name=sensevoice-small", 443, True),
        ("worker.model.name=iic/SenseVoiceSmall", 443, True),
        ("worker.model.name=embedded", 443, False),
        ("worker.model.name=embedded,worker.model.speakers=iic/cam", 443, True),
        ("worker.model.name=/models/mine", 443, False),
        ("worker.model.offline=true", 443, False),
        ("worker.modelCache.inImage=true", 443, False),
        ("networkPolicies.modelDownloads=false", 443, False),
        ("settings.HF_ENDPOINT=https://hf.corp:8443", 8443, True),
        ("worker.env.PIP_INDEX_URL=http://pip.corp:3141/root/pypi", 3141, True),
        ("worker.model.mirrors={/mirror,http://models.corp/asr}", 80, True),
        ("worker.model.engine=remote,worker.remote.url=http://vllm:8000/v1", 8000, True),
        ("worker.model.engine=remote,worker.remote.url=http://vllm:8000/v1", 443, False),
        ("worker.model.engine=remote,worker.remote.sidecar.image=vllm", 443, True),
        (
            "worker.model.engine=remote,worker.remote.url=http://vllm/v1"
            ",networkPolicies.remotePorts={8000}", 8000, True),
    ],
)  # fmt: skip
def test_a_worker_has_a_way_out_for_its_model_and_no_other(
    render: Any, settings: str, port: int, reached: bool
) -> None:
    assert reaches(render("--set", settings), "worker", PRIVATE, port) is reached


def test_only_the_pool_that_fetches_has_a_way_out(render: Any) -> None:
    made = render("--set", "pools[0].name=default,pools[1].name=toy,pools[1].model.name=embedded")
    assert reaches(made, "worker", WORLD, 443)
    assert not reaches(made, "worker", WORLD, 443, pool="toy")
    assert not reaches(made, "api", WORLD, 443)


def test_mirrors_and_servers_of_models_can_be_narrowed_to_where_they_are(render: Any) -> None:
    near = "networkPolicies.{}[0].ipBlock.cidr=10.3.2.0/24"
    made = render("--set", near.format("modelsTo"))
    assert reaches(made, "worker", PRIVATE, 443)
    assert not reaches(made, "worker", WORLD, 443)
    remote = "worker.model.engine=remote,worker.remote.url=http://vllm:8000/v1"
    made = render("--set", f"{remote},{near.format('remoteTo')}")
    assert reaches(made, "worker", PRIVATE, 8000)
    assert not reaches(made, "worker", WORLD, 8000)
