"""The Kubernetes API as plain dicts: the official client's transport, in threads.

Knows paths and verbs, nothing of pools. Every request has a deadline and is sent once: only the
caller knows whether it may be repeated, and whether this operator still holds the Lease.
docs/architecture.md says why no other client is used.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import urllib3
from kubernetes import config as kube_config
from kubernetes.client.api_client import ApiClient
from kubernetes.client.configuration import Configuration
from kubernetes.client.exceptions import ApiException

from asr_core.errors import ClusterUnavailable

CORE = "api/v1"
APPS = "apis/apps/v1"
AUTOSCALING = "apis/autoscaling/v2"
COORDINATION = "apis/coordination.k8s.io/v1"
EVENTS = "apis/events.k8s.io/v1"
POOLS = "apis/asr-platform.dev/v1alpha1"

TIMEOUT_SECONDS = 4.0
_THREADS = 16

Json = dict[str, Any]
ClusterConfiguration = Configuration  # for modules that must not import the client


def load_configuration() -> Configuration:
    """From the pod's service account, else from `KUBECONFIG` or `~/.kube/config`.

    Raises `ClusterUnavailable` if there is neither.
    """
    configuration = Configuration()
    try:
        kube_config.load_incluster_config(client_configuration=configuration)
        # A proxy from the environment is for traffic leaving the cluster; kopf ignores it too.
        configuration.proxy = None
    except kube_config.ConfigException:
        try:
            kube_config.load_kube_config(client_configuration=configuration)
        except (kube_config.ConfigException, OSError) as error:
            raise ClusterUnavailable(
                f"no cluster: not inside a pod, and no kubeconfig ({error})"
            ) from None
    return configuration


def path(group: str, namespace: str, plural: str, name: str = "", subresource: str = "") -> str:
    """`/apis/apps/v1/namespaces/asr/deployments/worker/scale`, or shorter."""
    parts = [group, "namespaces", namespace, plural, name, subresource]
    return "/" + "/".join(part for part in parts if part)


def micro_time() -> str:
    """Now, as Kubernetes writes a MicroTime."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Kube:
    """Requests to one API server. Every method raises `ClusterUnavailable`."""

    def __init__(self, configuration: Configuration, *, threads: int = _THREADS) -> None:
        configuration.retries = False
        configuration.connection_pool_maxsize = threads
        self._client = ApiClient(configuration)
        self._client.user_agent = "asr-operator"
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="kube")

    async def get(self, url: str, query: Mapping[str, str] | None = None) -> Json:
        return await self._call("GET", url, query=query)

    async def find(self, url: str) -> Json | None:
        """None if there is no such object."""
        try:
            return await self.get(url)
        except ClusterUnavailable as error:
            if error.reply_status == 404:
                return None
            raise

    async def items(self, url: str, query: Mapping[str, str] | None = None) -> list[Json]:
        """The objects of a list."""
        found: list[Json] = (await self.get(url, query)).get("items") or []
        return found

    async def create(self, url: str, body: Json) -> Json:
        return await self._call("POST", url, body, "application/json")

    async def replace(self, url: str, body: Json) -> Json:
        """Replaces the whole object; 409 if its `resourceVersion` is no longer current."""
        return await self._call("PUT", url, body, "application/json")

    async def patch(self, url: str, body: Json) -> Json:
        """A merge patch; 409 if it names a `metadata.resourceVersion` that is no longer current."""
        return await self._call("PATCH", url, body, "application/merge-patch+json")

    async def json_patch(self, url: str, operations: list[Json]) -> Json:
        """RFC 6902, applied to the newest version; 422 if a `test` in it fails."""
        return await self._call("PATCH", url, operations, "application/json-patch+json")

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    async def _call(
        self,
        method: str,
        url: str,
        body: Json | list[Json] | None = None,
        content_type: str = "",
        *,
        query: Mapping[str, str] | None = None,
    ) -> Json:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, self._call_blocking, method, url, body, content_type, query
        )

    def _call_blocking(
        self,
        method: str,
        url: str,
        body: Json | list[Json] | None,
        content_type: str,
        query: Mapping[str, str] | None,
    ) -> Json:
        headers = {"Accept": "application/json"}
        if content_type:
            headers["Content-Type"] = content_type
        request = self._client.param_serialize(
            method,
            url,
            query_params=list((query or {}).items()),
            header_params=headers,
            auth_settings=["BearerToken"],
            body=body,
        )
        try:
            reply = self._client.call_api(*request, _request_timeout=TIMEOUT_SECONDS)
            text = reply.read()
        except (urllib3.exceptions.HTTPError, ApiException, OSError) as error:
            raise ClusterUnavailable(f"{method} {url}: {error}") from error
        parsed = _parsed(text)
        if not 200 <= reply.status <= 299:
            message = parsed.get("message") or reply.reason
            raise ClusterUnavailable(
                f"{method} {url}: {reply.status} {message}", reply_status=reply.status
            )
        return parsed


def _parsed(text: bytes) -> Json:
    """The reply as an object; empty for anything else that a proxy may have answered."""
    try:
        reply = json.loads(text)
    except ValueError:
        return {}
    return reply if isinstance(reply, dict) else {}
