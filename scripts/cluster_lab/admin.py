"""What a test, or a person with kubectl, does to a cluster."""

from __future__ import annotations

import base64

from kubernetes.client.configuration import Configuration

from asr_operator.cluster import rest_client
from asr_operator.cluster.rest_client import Json, Kube, path


class Admin(Kube):
    """All rights, in one namespace at a time. Its requests carry a name of their own."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__(configuration)
        self._client.user_agent = "test"

    @property
    def configuration(self) -> Configuration:
        configuration: Configuration = self._client.configuration
        return configuration

    async def delete(self, url: str, options: Json | None = None) -> Json:
        return await self._call("DELETE", url, options or {}, "application/json")

    async def secret(self, namespace: str, name: str, **values: str) -> None:
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}
        await self.create(path(rest_client.CORE, namespace, "secrets"), body)

    async def deployment(
        self,
        namespace: str,
        name: str,
        replicas: int | None,
        *,
        paused: bool = False,
        annotations: Json | None = None,
    ) -> None:
        """Without replicas it gets the server's default of 1."""
        labels = {"app": name}
        container = {"name": "worker", "image": "registry.k8s.io/pause:3.10"}
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "annotations": annotations or {}},
            "spec": {
                **({} if replicas is None else {"replicas": replicas}),
                **({"paused": True} if paused else {}),
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        }
        await self.create(path(rest_client.APPS, namespace, "deployments"), body)

    async def pool(
        self, namespace: str, name: str, spec: Json, labels: dict[str, str] | None = None
    ) -> Json:
        body = {
            "apiVersion": "asr-platform.dev/v1alpha1",
            "kind": "WorkerPool",
            "metadata": {"name": name, "labels": labels or {}},
            "spec": spec,
        }
        return await self.create(path(rest_client.POOLS, namespace, "workerpools"), body)

    async def autoscaler(self, namespace: str, deployment: str) -> None:
        body = {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": f"{deployment}-hpa"},
            "spec": {
                "scaleTargetRef": {
                    "apiVersion": "apps/v1",
                    "kind": "Deployment",
                    "name": deployment,
                },
                "maxReplicas": 5,
            },
        }
        await self.create(
            path(rest_client.AUTOSCALING, namespace, "horizontalpodautoscalers"), body
        )

    async def set_replicas(self, namespace: str, deployment: str, replicas: int) -> None:
        """As `kubectl scale` does."""
        url = path(rest_client.APPS, namespace, "deployments", deployment, "scale")
        await self.patch(url, {"spec": {"replicas": replicas}})
