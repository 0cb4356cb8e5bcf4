"""Makes the release's WorkerPools, or brings them up to date.

helm cannot: it looks every object of a release up before it creates the first, and at the first
install nobody knows the resource. Each pool is owned by its Deployment, and goes with it.
"""

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PATIENCE_SECONDS = 120


class Api:
    """A namespace of the API server."""

    def __init__(self, url, namespace, token="", context=None):
        self._url, self._namespace, self._context = url, namespace, context
        self._headers = {"Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def call(self, method, group, path, body=None):
        """The reply, or None for 404."""
        request = urllib.request.Request(
            f"{self._url}/apis/{group}/namespaces/{self._namespace}/{path}",
            method=method,
            headers=self._headers,
            data=None if body is None else json.dumps(body).encode(),
        )
        try:
            with urllib.request.urlopen(request, timeout=15, context=self._context) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode()}") from error


def apply(api, pool):
    """Creates a pool or replaces what is wanted of it; its status stays."""
    name, target = pool["metadata"]["name"], pool["spec"]["scaleTargetRef"]["name"]
    group = pool["apiVersion"]
    deployment = api.call("GET", "apps/v1", f"deployments/{target}")
    if deployment is None:
        raise RuntimeError(f"there is no Deployment {target}")
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}
    pool["metadata"]["ownerReferences"] = [{**owner, "uid": deployment["metadata"]["uid"]}]
    found = api.call("GET", group, f"workerpools/{name}")
    if found is None:
        if api.call("POST", group, "workerpools", pool) is None:
            raise RuntimeError("the cluster does not know WorkerPools yet")
        return f"{name} made"
    same = all(found["metadata"].get(key) == value for key, value in pool["metadata"].items())
    if same and found["spec"] == pool["spec"]:
        return f"{name} unchanged"
    found["metadata"].update(pool["metadata"])
    api.call("PUT", group, f"workerpools/{name}", {**found, "spec": pool["spec"]})
    return f"{name} updated"


def apply_all(api, pools, patience_seconds=PATIENCE_SECONDS):
    """Each of them, however long the resource takes to be known."""
    deadline = time.monotonic() + patience_seconds
    for pool in pools:
        while True:
            try:
                print(apply(api, pool), flush=True)
                break
            except (RuntimeError, OSError) as error:
                if time.monotonic() > deadline:
                    sys.exit(f"WorkerPool {pool['metadata']['name']}: {error}")
                time.sleep(2)


def main():
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    host = f"[{host}]" if ":" in host else host
    context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    namespace = (ACCOUNT / "namespace").read_text().strip()
    token = (ACCOUNT / "token").read_text().strip()
    pools = json.loads(Path(os.environ["POOLS_FILE"]).read_text())
    apply_all(Api(f"https://{host}:{port}", namespace, token, context), pools)


if __name__ == "__main__":
    main()
