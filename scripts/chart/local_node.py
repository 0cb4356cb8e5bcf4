"""Runs the pods of a rendered chart as processes of this machine, as a kubelet runs containers.

Command, environment and probes are those of the manifests. What a node would give is put in by a
mapping: Secrets are filled in, mounts are folders, a Service's name is this machine. With a `root`
each container sees what its image and its mounts hold, read-only but for these, as a user whom
nobody knows, without HOME. Resources are not played, nor is the image of Redis.
"""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asr_core.process.listening import url_host
from chart.container_root import REPOSITORY, ContainerRoot, Mount, image_environment

Json = dict[str, Any]
_LOOK_SECONDS = 0.1


class NotReady(Exception):
    """A container ended, or its probes' patience did."""


@dataclass
class Container:
    """A container's process."""

    name: str
    spec: Json
    command: list[str]
    environment: dict[str, str]
    log: Path
    grace_seconds: float
    root: ContainerRoot | None = None
    mounts: Sequence[Mount] = ()
    process: subprocess.Popen[bytes] | None = None

    def words(self, command: Sequence[str]) -> list[str]:
        """What runs `command` as this container would."""
        if self.root is None:
            return list(command)
        return self.root.command(command, self.mounts, self.environment)

    @property
    def outside(self) -> Mapping[str, str]:
        """The environment of what builds the root, or of the program itself."""
        return self.environment if self.root is None else os.environ

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.words(self.command), env=self.outside, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, cwd="/", start_new_session=True,
            )  # fmt: skip

    def run(self, seconds: float) -> subprocess.CompletedProcess[str]:
        """For a container that ends by itself."""
        return subprocess.run(
            self.words(self.command), env=self.outside, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, cwd="/", timeout=seconds,
        )  # fmt: skip

    def wait_until_ready(self, at_most_seconds: float = 90.0) -> None:
        """By its startup probe, with that probe's patience or less, then by the other two."""
        probe = self.spec["startupProbe"]
        patience = probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3)
        patience = min(patience, at_most_seconds)
        deadline = time.monotonic() + patience
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            while not self.probe(kind):
                if self.process is None or self.process.poll() is not None:
                    raise NotReady(f"{self.name} has ended:\n{self.tail()}")
                if time.monotonic() > deadline:
                    raise NotReady(f"{self.name}: no {kind} in {patience} s\n{self.tail()}")
                time.sleep(_LOOK_SECONDS)

    def probe(self, kind: str, host: str = "127.0.0.1") -> bool:
        """What the kubelet would find now, at a pod with this address."""
        probe = self.spec[kind]
        timeout = probe.get("timeoutSeconds", 1)
        if "exec" in probe:
            return self._ask_program(probe["exec"]["command"], timeout)
        port = probe["httpGet"]["port"]
        named = {each["name"]: each["containerPort"] for each in self.spec["ports"]}
        assert "host" not in probe["httpGet"]
        url = f"http://{url_host(host)}:{named.get(port, port)}{probe['httpGet']['path']}"
        try:
            with urllib.request.urlopen(url, timeout=timeout) as reply:
                return bool(200 <= reply.status < 400)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> int | None:
        """SIGTERM; the exit status, or None for one that had to be killed after its grace."""
        if self.process is None:
            return None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(self.grace_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def path_of(self, file: Path) -> str:
        """Where the container finds a file of this repository."""
        if self.root is None:
            return str(file)
        return str(Path("/opt/source", file.relative_to(REPOSITORY)))

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""

    def _ask_program(self, command: Sequence[str], timeout: float) -> bool:
        try:
            asked = subprocess.run(
                self.words(command), env=self.outside, capture_output=True, timeout=timeout
            )
        except subprocess.TimeoutExpired:
            return False
        return asked.returncode == 0


@dataclass
class LocalNode:
    """`places` are names of Services, with or without a port, and where they are here."""

    objects: Sequence[Json]
    folder: Path
    places: Mapping[str, str]
    root: ContainerRoot | None = None
    containers: list[Container] = field(default_factory=list)

    def containers_of(self, pod: str, template: Json, **more: str | Path) -> list[Container]:
        """Of a pod with this name. `more` is environment that stands for a mounted token; a path's
        file is put in."""
        spec = template["spec"]
        mounts = {each["name"]: self._volume(pod, each) for each in spec.get("volumes", ())}
        made = []
        for container in spec["containers"]:
            folders = {
                each["mountPath"]: mounts.get(each["name"]) or self._claim(each["name"])
                for each in container.get("volumeMounts", ())
            }
            self._fill_config(spec, container, folders)
            seen = {} if self.root else folders  # by its own root it sees them where they belong
            environment = _image_environment(container["image"], self.root) | {
                each["name"]: self._local(self._value(each, pod), seen)
                for each in container.get("env", ())
            }
            given, files = _standing_in(more, self.root)
            volumes = [_mount(each, folders) for each in container.get("volumeMounts", ())]
            command = [*container.get("command", ()), *container.get("args", ())]
            name = f"{pod}-{container['name']}"
            made.append(
                Container(
                    name, container, [self._local(word, seen) for word in command],
                    environment | given, self.folder / f"{name}.log",
                    spec.get("terminationGracePeriodSeconds", 30),
                    self.root, [*volumes, *files],
                )
            )  # fmt: skip
        self.containers += made
        return made

    def start(self, pod: str, template: Json, **more: str | Path) -> list[Container]:
        """Starts them all and waits until they are ready. Raises NotReady."""
        made = self.containers_of(pod, template, **more)
        for container in made:
            container.start()
        for container in made:
            container.wait_until_ready()
        return made

    def kill(self) -> None:
        for container in self.containers:
            container.kill()

    def _value(self, setting: Json, pod: str) -> str:
        if "value" in setting:
            return str(setting["value"])
        source = setting["valueFrom"]
        if "fieldRef" in source:
            assert source["fieldRef"]["fieldPath"] == "metadata.name"
            return pod
        wanted = source["secretKeyRef"]
        secret = self._find("Secret", wanted["name"])
        return base64.b64decode(secret["data"][wanted["key"]]).decode()

    def _volume(self, pod: str, volume: Json) -> Path:
        if "persistentVolumeClaim" in volume:
            return self._claim(volume["persistentVolumeClaim"]["claimName"])
        return self._given(pod, volume["name"])

    def _claim(self, name: str) -> Path:
        return self._given("claims", name)

    def _given(self, *parts: str) -> Path:
        folder = self._folder(*parts)
        if self.root:
            self.root.give(folder)
        return folder

    def _fill_config(self, spec: Json, container: Json, folders: Mapping[str, Path]) -> None:
        configs = {v["name"]: v["configMap"]["name"] for v in spec["volumes"] if "configMap" in v}
        for mount in container.get("volumeMounts", ()):
            if mount["name"] in configs:
                data = self._find("ConfigMap", configs[mount["name"]])["data"]
                for name, text in data.items():
                    seen = {} if self.root else folders
                    (folders[mount["mountPath"]] / name).write_text(self._local(text, seen))

    def _local(self, text: str, folders: Mapping[str, Path]) -> str:
        """The text with the paths and names of this machine."""
        for name, place in sorted(self.places.items(), key=lambda each: -len(each[0])):
            text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", place, text)
        if not folders:
            return text
        paths = "|".join(re.escape(path) for path in sorted(folders, key=len, reverse=True))
        return re.sub(
            rf"(?:(?<=file://)|(?<![\w/.]))(?:{paths})(?![\w-])",
            lambda found: str(folders[found[0]]),
            text,
        )

    def _folder(self, *parts: str) -> Path:
        folder = self.folder.joinpath(*parts)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _find(self, kind: str, name: str) -> Json:
        (found,) = [
            each
            for each in self.objects
            if each["kind"] == kind and each["metadata"]["name"] == name
        ]
        return found


def _image_environment(image: str, root: ContainerRoot | None) -> dict[str, str]:
    """What the image says itself; without a root of its own: where its programs are."""
    if root is None:
        return {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    part = next((part for part in ("api", "worker", "operator") if f"-{part}" in image), "")
    return image_environment(f"Dockerfile.{part}") if part else {"PATH": os.defpath}


def _mount(mount: Json, folders: Mapping[str, Path]) -> Mount:
    return Mount(folders[mount["mountPath"]], mount["mountPath"], bool(mount.get("readOnly")))


def _standing_in(
    more: Mapping[str, str | Path], root: ContainerRoot | None
) -> tuple[dict[str, str], list[Mount]]:
    """Environment, and the files that it names."""
    files = {name: value for name, value in more.items() if isinstance(value, Path) and root}
    places = {name: f"/run/secrets/{name.lower()}" for name in files}
    mounts = [Mount(file, places[name], read_only=True) for name, file in files.items()]
    return {**{name: str(value) for name, value in more.items()}, **places}, mounts
