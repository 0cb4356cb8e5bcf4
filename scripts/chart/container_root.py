"""A container's view of this machine, as root can build one: what the runtime gives, and no more.

The root is read-only and holds the system's folders, Python at its own place, and what our images
hold in `/opt/asr`. Writable is what the pod mounts. The user has no entry in `/etc/passwd`, no
capabilities and no home. Needs Linux, root, and the tools of util-linux.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# Nobody's here, nor in any image: as OpenShift gives them. Its containers are in the root group.
UID = 1_000_650_000
_SYSTEM = ("usr", "etc", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
_PACKAGES = ("core", "api", "worker", "operator", "cli", "client")
_ENTRY = """#!/opt/asr/bin/python
import sys
from asr_cli.main import main
if __name__ == "__main__":
    sys.exit(main())
"""


@dataclass(frozen=True)
class Mount:
    """A folder or file of this machine at a path of the container."""

    source: Path
    path: str
    read_only: bool = False


@dataclass(frozen=True)
class ContainerRoot:
    """Builds command lines that run a program in such a root. `folder` keeps its parts."""

    folder: Path
    uid: int = UID
    gid: int = 0
    groups: Sequence[int] = field(default_factory=lambda: [UID])

    @staticmethod
    def missing() -> str:
        """Why there can be none here; empty where there can."""
        if os.geteuid() != 0:
            return "only root can build a container's root"
        if shutil.which("setpriv") is None or shutil.which("unshare") is None:
            return "setpriv and unshare are missing: apt install util-linux"
        trial = subprocess.run(
            ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True
        )
        return trial.stderr.decode().strip()

    def command(
        self, words: Sequence[str], mounts: Iterable[Mount], environment: Mapping[str, str]
    ) -> list[str]:
        """`words` in the root, with this environment alone, less `HOME`."""
        sealed = f"mount -o remount,ro,mode=755 {self._root}"
        lines = ["set -e", *self._system, *(self._bind(each) for each in mounts), sealed]
        inside = [
            *("chroot", str(self._root), "setpriv", f"--reuid={self.uid}", f"--regid={self.gid}"),
            f"--groups={','.join(map(str, self.groups))}",
            *("--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"),
            *("env", "-i", *(f"{k}={v}" for k, v in environment.items() if k != "HOME")),
        ]
        script = "\n".join([*lines, f'exec {shlex.join(inside)} "$@"'])
        return ["unshare", "--mount", "--propagation=private", "sh", "-c", script, "sh", *words]

    def give(self, folder: Path) -> None:
        """Makes a volume and all in it the pod's own, as a kubelet does with `fsGroup`."""
        group = self.groups[0]
        for place, _, files in os.walk(folder):
            os.chown(place, -1, group)
            os.chmod(place, 0o2775)
            for name in files:
                os.chown(Path(place, name), -1, group)
                os.chmod(Path(place, name), 0o664)
        folder.chmod(0o2777)

    @cached_property
    def _root(self) -> Path:
        root = self.folder / "root"
        root.mkdir(parents=True, exist_ok=True)
        return root

    @cached_property
    def _system(self) -> list[str]:
        """The root, and what an image holds."""
        lines = [f"mount -t tmpfs -o mode=755 tmpfs {self._root}"]
        lines += [
            f"mkdir {self._root}/{name} && mount --rbind /{name} {self._root}/{name}"
            for name in ("proc", "dev")
        ]
        for name in _SYSTEM:
            place = Path("/", name)
            if place.is_symlink():
                lines.append(f"ln -s {place.readlink()} {self._root}/{name}")
            elif place.exists():
                lines.append(self._bind(Mount(place, f"/{name}", read_only=True)))
        python = Path(sys.base_prefix).resolve()
        if not python.is_relative_to("/usr"):
            lines.append(self._bind(Mount(python, str(python), read_only=True)))
        lines.append(self._bind(Mount(Path(sys.prefix), "/opt/asr", read_only=True)))
        lines += [
            self._bind(Mount(REPOSITORY / name, f"/opt/source/{name}", read_only=True))
            for name in _PACKAGES
        ]
        return [*lines, *(self._bind(each) for each in self._replaced())]

    def _replaced(self) -> Iterable[Mount]:
        """What names the checkout's own path in an editable install."""
        entry, paths = self.folder / "asr", self.folder / "paths.pth"
        entry.write_text(_ENTRY)
        entry.chmod(0o755)
        paths.write_text("".join(f"/opt/source/{name}\n" for name in _PACKAGES))
        yield Mount(entry, "/opt/asr/bin/asr", read_only=True)
        (editable,) = Path(sys.prefix).glob("lib/python*/site-packages/_editable_impl_asr*.pth")
        yield Mount(paths, f"/opt/asr/{editable.relative_to(sys.prefix)}", read_only=True)

    def _bind(self, mount: Mount) -> str:
        place = shlex.quote(f"{self._root}{mount.path}")
        if mount.source.is_dir():
            make = f"mkdir -p {place}"
        else:
            make = f"mkdir -p $(dirname {place}) && {{ [ -e {place} ] || : > {place}; }}"
        mode = "ro" if mount.read_only else "rw"
        return f"{make} && mount --bind -o {mode} {shlex.quote(str(mount.source))} {place}"


def image_environment(dockerfile: str) -> dict[str, str]:
    """What `ENV` of an image's last stage, and of those that it is based on, says; `$PATH` is that
    of the base image.
    """
    _, *stages = re.split(r"^FROM ", (REPOSITORY / dockerfile).read_text(), flags=re.MULTILINE)
    bases = {name: text for text in stages for name in re.findall(r"\A\S+ AS (\S+)", text)}
    stage, lines = stages[-1], list[str]()
    while stage:
        lines = re.findall(r"^ENV (.+)$", stage, re.MULTILINE) + lines
        stage = bases.get(stage.split()[0], "")
    found: dict[str, str] = {}
    for line in lines:
        found |= dict(each.split("=", 1) for each in line.split())
    base = "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin"
    return {name: value.replace("$PATH", base) for name, value in found.items()}
