"""Fetching the official BBQ files: pinned to one commit, verified, resumable."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from secondlook.download import Progress, fetch

COMMIT = "bea11bd97d79217245b5871acd247b9d6eb24598"
BASE_URL = f"https://raw.githubusercontent.com/nyu-mll/BBQ/{COMMIT}"

FILES: Mapping[str, str] = MappingProxyType(
    {
        "data/Age.jsonl": "5c5e7586163b869fe029e77e63716f2026e4ae08",
        "data/Disability_status.jsonl": "9aedeccaf599299cdfa523531d625ae85ecb9131",
        "data/Gender_identity.jsonl": "dc79ceaaa9e7126edc99a200d632899c50274b16",
        "data/Nationality.jsonl": "cba9b63d34536cb51a6cbae76b189df3d2a945c0",
        "data/Physical_appearance.jsonl": "8cbdf83265459083224e3a2d37809294ff12ad77",
        "data/Race_ethnicity.jsonl": "68daf3d692b27a10596772b3b15742b26f0b110e",
        "data/Race_x_SES.jsonl": "905cd8a5b8734e2063fe524e69a38f0a71c75907",
        "data/Race_x_gender.jsonl": "dd09a905b284690445d36259d675243950fa0bd7",
        "data/Religion.jsonl": "44c1940ee22f00891ab4a5526a293691957aeacb",
        "data/SES.jsonl": "78d11ffbdb70f501617345e5c697d00045d57c29",
        "data/Sexual_orientation.jsonl": "a06351f4dd67ba30632396eeb0c3677c67b7d387",
        "supplemental/additional_metadata.csv": "564eb184be7427cefe9f1ffd8fd03cb700e6aa98",
    }
)
"""Path in the repository at :data:`COMMIT` and git blob id. The metadata file is the one its README
documents; the copy in ``analysis_scripts/`` has the same blob id."""


def git_blob_id(path: Path) -> str:
    r"""The id git gives a file's content: the SHA-1 of ``b"blob <size in bytes>\0"`` followed by the content.

    A commit id fixes the ids of all its files, so the list of a commit's tree serves as a table of checksums,
    without the files and without trusting the server that sends them. (SHA-1 resists accident and truncation;
    a forger who can make collisions would have to have placed one in the official repository.)

    Raises:
        OSError: The file cannot be read.
    """
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def download(
    folder: Path, base_url: str | None = None, progress: Progress | None = None, timeout: float = 30.0
) -> list[Path]:
    """Fetch the eleven data files and ``additional_metadata.csv`` into a folder; see :func:`secondlook.download.fetch`.

    Args:
        folder: Made if it does not exist.
        base_url: Where the repository's files lie, for a mirror; by default GitHub at :data:`COMMIT`.
        progress: Told about every chunk, and once about a file that was there already.
        timeout: Seconds without a byte after which the connection counts as broken.

    Returns:
        The twelve paths, in the order of :data:`FILES`.

    Raises:
        DownloadError: One of them could not be fetched.
    """
    base = (base_url or BASE_URL).rstrip("/")
    paths = [folder / Path(remote).name for remote in FILES]
    for path, (remote, blob) in zip(paths, FILES.items(), strict=True):
        fetch(f"{base}/{remote}", path, git_blob_id, blob, progress, timeout)
    return paths
