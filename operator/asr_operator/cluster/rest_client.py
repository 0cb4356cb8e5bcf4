"""The Kubernetes API as plain dicts: the official client's transport, in threads.

Knows paths and verbs, nothing of pools. Every request has a deadline and is sent once: the caller
knows which of them may be repeated, and whether it still holds the Lease.
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


def load_configuration() -> Configuration:
    """That of the pod's service account, else that of `KUBECONFIG` or `~/.kube/config`.

    Raises `ClusterUnavailable` where there is neither.
    """
    configuration = Configuration()
    try:
        kube_config.load_incluster_config(client_configuration=configuration)
        # A proxy of the environment leads out of the cluster; kopf's own client has none either.
        configuration.proxy = None
    except kube_config.ConfigException:
        try:
            kube_config.load_kube_config(client_configuration=configuration)
        except (kube_config.ConfigException, OSError) as error:
            raise ClusterUnavailable(
                f"no cluster to work in: not inside a pod, and no kubeconfig ({error})"
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
        """None where there is no such object."""
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
        """The whole object, in the version that it names: 409 if there is a newer one."""
        return await self._call("PUT", url, body, "application/json")

    async def patch(self, url: str, body: Json) -> Json:
        """A merge patch; with `metadata.resourceVersion` in it, 409 if that is no longer true."""
        return await self._call("PATCH", url, body, "application/merge-patch+json")

    async def json_patch(self, url: str, operations: list[Json]) -> Json:
        """RFC 6902. The server applies it to the newest version: 422 if a `test` in it fails."""
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
            self._threads, self._call_now, method, url, body, content_type, query
        )

    def _call_now(
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
            said = parsed.get("message") or reply.reason
            raise ClusterUnavailable(
                f"{method} {url}: {reply.status} {said}", reply_status=reply.status
            )
        return parsed


def _parsed(text: bytes) -> Json:
    """An object, whatever a proxy in between may have answered."""
    try:
        reply = json.loads(text)
    except ValueError:
        return {}
    return reply if isinstance(reply, dict) else {}
