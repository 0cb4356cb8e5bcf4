"""Fetches a model's archive into a folder, once; refuses one whose checksum is another."""

import hashlib
import os
import shutil
import sys
import tarfile
import urllib.request
from pathlib import Path

url, wanted = os.environ["MODEL_URL"], os.environ["MODEL_SHA256"]
folder = Path(os.environ["MODEL_FOLDER"])
if folder.is_dir():
    sys.exit()
half = folder.with_name(f"{folder.name}.{os.environ.get('HOSTNAME', os.getpid())}")
shutil.rmtree(half, ignore_errors=True)
half.mkdir(parents=True)
archive, checksum = half / "archive", hashlib.sha256()
with urllib.request.urlopen(url, timeout=60) as reply, archive.open("wb") as file:
    while block := reply.read(1 << 20):
        checksum.update(block)
        file.write(block)
if checksum.hexdigest() != wanted:
    shutil.rmtree(half)
    sys.exit(f"{url} has the SHA-256 {checksum.hexdigest()}, wanted was {wanted}")
with tarfile.open(archive) as packed:
    packed.extractall(half, filter="data")
archive.unlink()
try:
    half.rename(folder)
except OSError:  # another pod on the same volume was quicker
    shutil.rmtree(half)
print(f"{url} is in {folder}")
