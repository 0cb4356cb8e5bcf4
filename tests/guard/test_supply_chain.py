"""What is installed, built and run in CI is what somebody has looked at: by hash and commit."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from requirements import requirements

from chart.tools import PACKAGES

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "locks"
IMAGES = sorted(ROOT.glob("Dockerfile.*"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
Json = dict[str, Any]
# A build of PyTorch with CUDA brings these; they are of no other, nor in constraints.txt.
CUDA = re.compile(r"nvidia-(?!ml-py)|cuda-|triton$")


@dataclass(frozen=True)
class Locked:
    """An entry of a lock."""

    version: str
    marker: str
    hashes: tuple[str, ...]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(name: str) -> dict[str, Locked]:
    """Every line is a pin with hashes: else this fails."""
    text = (LOCKS / f"{name}.txt").read_text().replace("\\\n", " ")
    found = {}
    for line in filter(None, re.sub(r"^#.*$", "", text, flags=re.MULTILINE).splitlines()):
        pin, *hashes = line.split(" --hash=sha256:")
        match = re.fullmatch(r"([\w.-]+)==([\w.]+)(?: ; (.+?))?", pin.strip())
        assert match, line
        assert hashes, f"{match[1]} has no hash"
        assert all(re.fullmatch(r"[0-9a-f]{64}", each.strip()) for each in hashes), match[1]
        name_ = canonical(match[1])
        assert name_ not in found, f"two versions of {name_}"
        found[name_] = Locked(match[2], match[3] or "", tuple(hashes))
    return found


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonical(name): version for name, version in pins}


def test_the_lock_has_the_versions_that_are_tested_and_more_only_for_other_machines() -> None:
    """`make lock` after a change of constraints.txt or pyproject.toml."""
    packages, tested = locked("packages"), constraints()
    assert {name: packages[name].version for name in tested} == tested
    more = {name: entry for name, entry in packages.items() if name not in tested}
    for name, entry in more.items():
        assert CUDA.match(name) or (entry.marker and not Marker(entry.marker).evaluate()), name
    assert packages["torch"].marker == "", "CUDA's images take it from the lock"


def test_everything_that_this_environment_needs_is_in_the_lock() -> None:
    """What is asked for, and what that asks for: a lock from which nothing is left out."""
    packages, needed = locked("packages"), set[str]()
    names = ("api", "worker", "whisper", "cli", "operator", "simulate", "dev")
    waiting = [Requirement(each) for each in requirements(*names)]
    while waiting:
        wanted = waiting.pop()
        name, extras = canonical(wanted.name), {"", *wanted.extras}
        if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
            continue
        assert name in packages, f"{name} is needed and not locked"
        assert metadata.version(name).partition("+")[0] == packages[name].version, name
        for line in metadata.requires(name) or () if f"{name}{extras}" not in needed else ():
            inner = Requirement(line)
            fits = [not inner.marker or inner.marker.evaluate({"extra": e}) for e in extras]
            if any(fits):
                inner.marker = None
                waiting.append(inner)
        needed.add(f"{name}{extras}")
    assert len(needed) > 150
    assert metadata.version("pip") == locked("pip")["pip"].version


def test_whoever_serves_a_python_finds_a_file_for_it_in_the_lock() -> None:
    """Hashes of all files, not those of one machine: pure wheels have one or two, others many."""
    packages = locked("packages")
    assert len(packages["numpy"].hashes) > 20
    assert len(packages["av"].hashes) > 5


def test_what_builds_is_locked_too() -> None:
    build = locked("build")
    assert {"hatchling", "setuptools"} <= set(build)
    shared = constraints().keys() & build.keys()
    assert {name: build[name].version for name in shared} == {
        name: constraints()[name] for name in shared
    }


def commands(text: str) -> list[str]:
    """The lines of a script or of an image's RUN that install or build, joined at backslashes."""
    joined = re.sub(r"\\\n\s*", " ", text)
    joined = joined.replace('"${pip[@]}"', "pip install").replace('"${pip[@]} "', "pip install ")
    parts = re.split(r"&&|\||\n", re.sub(r"^\s*#.*$", "", joined, flags=re.MULTILINE))
    is_pip = re.compile(r"^[{\s]*(RUN )?\S*pip\S* .*\b(install|wheel)\b|-m pip ")
    return [part.strip() for part in parts if is_pip.search(part)]


@pytest.mark.parametrize(
    "file", [*IMAGES, ROOT / "scripts" / "set_up.sh", ROOT / "scripts" / "lock.sh"],
    ids=lambda path: path.name,
)  # fmt: skip
def test_everything_is_installed_by_hash_but_pytorchs_build_and_this_project(file: Path) -> None:
    text = file.read_text()
    found = [line for line in commands(text) if "local -a" not in line and "pip=(" not in line]
    assert len(found) >= (1 if file.name == "lock.sh" else 3), found
    for line in found:
        if "--require-hashes" in line:
            assert re.search(r"-r locks/(pip|uv)\.txt|-c locks/packages\.txt", line), line
        else:
            assert "--no-deps" in line, line
            assert re.search(r"torch|-e \.|/wheels/\*\.whl| \.$|/wheels \.", line), line
    if file.name != "lock.sh":
        assert "PIP_BUILD_CONSTRAINT" in text


def test_pip_as_locked_refuses_a_file_that_a_lock_does_not_know(tmp_path: Path) -> None:
    """That hashes in constraints are heeded is young: pip before 26.1 knows none there."""
    wheels, venv = tmp_path / "wheels", tmp_path / "venv"
    wheels.mkdir()
    inner, outer = wheel(wheels, "inner"), wheel(wheels, "outer", requires="inner")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)

    def install(lines: list[str]) -> subprocess.CompletedProcess[str]:
        (tmp_path / "lock.txt").write_text("\n".join(lines))
        return subprocess.run(
            [
                sys.executable, "-m", "pip", "--python", venv / "bin" / "python", "install",
                "--isolated", "--no-index", "--find-links", wheels, "--require-hashes",
                "--dry-run", "-c", tmp_path / "lock.txt", "outer",
            ],
            capture_output=True, text=True,
        )  # fmt: skip

    pins = [
        f"{path.name.split('-')[0]}==1.0 --hash=sha256:{digest(path)}" for path in (inner, outer)
    ]
    assert install(pins).returncode == 0
    other = install([f"inner==1.0 --hash=sha256:{'0' * 64}", pins[1]])
    assert other.returncode == 1
    assert "DO NOT MATCH THE HASHES" in other.stderr
    missing = install(pins[1:])
    assert missing.returncode == 1
    assert "inner" in missing.stderr


def wheel(folder: Path, name: str, requires: str = "") -> Path:
    path = folder / f"{name}-1.0-py3-none-any.whl"
    about = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    about += f"Requires-Dist: {requires}\n" if requires else ""
    files = {
        f"{name}.py": "",
        f"{name}-1.0.dist-info/METADATA": about,
        f"{name}-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for each, text in files.items():
            archive.writestr(each, text)
        record = "".join(f"{each},,\n" for each in [*files, f"{name}-1.0.dist-info/RECORD"])
        archive.writestr(f"{name}-1.0.dist-info/RECORD", record)
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def steps() -> list[tuple[str, str, Json]]:
    """The steps of every workflow, with the file and the job."""
    return [
        (path.name, job, step)
        for path in WORKFLOWS
        for job, spec in yaml.safe_load(path.read_text())["jobs"].items()
        for step in spec["steps"]
    ]


def test_every_action_is_named_by_its_commit_with_the_version_beside_it() -> None:
    """A tag can be moved to other code; Renovate moves a commit together with the comment."""
    for path in WORKFLOWS:
        lines = re.findall(r"uses: .*", path.read_text())
        assert lines, path.name
        for line in lines:
            assert re.fullmatch(r"uses: [\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_a_workflow_has_no_rights_and_a_job_those_that_it_needs() -> None:
    may_write = {("release.yml", "image"): {"packages", "id-token", "attestations"}}
    for path in WORKFLOWS:
        workflow = yaml.safe_load(path.read_text())
        assert workflow["permissions"] == {}, path.name
        for job, spec in workflow["jobs"].items():
            writes = {what for what, right in spec["permissions"].items() if right != "read"}
            assert writes == may_write.get((path.name, job), set()), (path.name, job)


def test_no_checkout_leaves_its_token_behind() -> None:
    checkouts = [step for _, _, step in steps() if "actions/checkout@" in step.get("uses", "")]
    assert len(checkouts) >= 4
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_no_workflow_runs_text_that_others_wrote() -> None:
    """An expression in a script is pasted into it before the shell reads it; and
    `pull_request_target` gives a fork's code the repository's rights."""
    for name, job, step in steps():
        assert "${{" not in step.get("run", ""), (name, job)
    for path in WORKFLOWS:
        assert "pull_request_target" not in path.read_text()


def test_a_release_carries_what_is_in_it_and_where_it_came_from() -> None:
    (build,) = [s for _, _, s in steps() if "docker/build-push-action@" in s.get("uses", "")]
    assert (build["with"]["sbom"], build["with"]["provenance"]) == (True, "mode=max")
    (attest,) = [s for _, _, s in steps() if "actions/attest@" in s.get("uses", "")]
    assert attest["with"]["subject-digest"] == "${{ steps.build.outputs.digest }}"
    release = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())
    built = release["jobs"]["image"]["strategy"]["matrix"]["include"]
    assert {each["file"] for each in built} == {path.name for path in IMAGES}


def test_renovate_brings_digests_and_finds_every_image_that_is_named() -> None:
    renovate = json.loads((ROOT / "renovate.json").read_text())
    assert {"helpers:pinGitHubActionDigests", "docker:pinDigests"} <= set(renovate["extends"])
    (manager,) = renovate["customManagers"]
    (pattern,) = manager["matchStrings"]
    values = (ROOT / "helm" / "asr-platform" / "values.yaml").read_text()
    found = re.findall(pattern.replace("(?<", "(?P<"), values)
    images = yaml.safe_load(values)["images"].values()
    others = {each["repository"] for each in images if not each["repository"].startswith("asr-")}
    assert {each[0] for each in found} == others
    for path in IMAGES:
        assert re.findall(r"^FROM (\$\{PYTHON_IMAGE\}|\w+)(?: AS|$)", path.read_text(), re.M)
        assert len(re.findall(r"^ARG PYTHON_IMAGE=python:\S+$", path.read_text(), re.M)) == 1


def test_what_tests_fetch_and_run_is_named_by_its_content() -> None:
    for package in PACKAGES.values():
        assert len(base64.b64decode(package.digest.removeprefix("sha512-"))) == 64
    assert re.search(r"ingress-nginx/[0-9a-f]{40}/", (ROOT / "scripts" / "e2e.sh").read_text())
