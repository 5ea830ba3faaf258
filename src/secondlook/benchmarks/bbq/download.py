"""Fetching the official BBQ files: pinned to one commit, verified, resumable."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import httpx

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

Progress = Callable[[str, int, int | None], None]
"""Called with the file's name, the bytes on disk so far and, where the server tells it, the whole size in
bytes."""


class DownloadError(RuntimeError):
    """A file could not be fetched: one line with its URL and the remedy.

    Attributes:
        url: What was asked for.
        reason: What happened and what to do.
    """

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url = url
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.url}: {self.reason}"


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
    """Fetch the eleven data files and ``additional_metadata.csv`` into a folder.

    A file that is there and has the right content is left alone. An interrupted one is kept as ``NAME.part``
    and continued by the next call, so nothing is fetched twice; ``NAME`` itself appears only once its content
    is verified.

    Args:
        folder: Made if it does not exist.
        base_url: Where the repository's files lie, for a mirror; by default GitHub at :data:`COMMIT`.
        progress: Told about every chunk, and once about a file that was there already.
        timeout: Seconds without a byte after which the connection counts as broken.

    Returns:
        The twelve paths, in the order of :data:`FILES`.

    Raises:
        DownloadError: No connection, an HTTP error, a broken connection, content that is not the published
            one, or a disk that is full or read-only.
    """
    base = (base_url or BASE_URL).rstrip("/")
    paths = []
    with httpx.Client(transport=httpx.HTTPTransport(retries=2), timeout=timeout, follow_redirects=True) as client:
        for remote, blob in FILES.items():
            url = f"{base}/{remote}"
            path = folder / Path(remote).name
            try:
                folder.mkdir(parents=True, exist_ok=True)
                _fetch(client, url, path, blob, progress or _silent)
            except httpx.HTTPStatusError as error:
                answer = f"HTTP {error.response.status_code} {error.response.reason_phrase}".strip()
                raise DownloadError(url, f"{answer} — check the address or try again later") from None
            except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
                raise DownloadError(url, f"not a web address ({error}) — check it") from None
            except httpx.HTTPError as error:
                what = str(error) or type(error).__name__
                raise DownloadError(url, f"connection failed ({what}) — run again to resume where it stopped") from None
            except OSError as error:
                reason = f"cannot write {path} ({error.strerror})"
                raise DownloadError(url, f"{reason} — make room or choose another folder, then run again") from None
            paths.append(path)
    return paths


def _fetch(client: httpx.Client, url: str, path: Path, blob: str, progress: Progress) -> None:
    if path.is_file() and git_blob_id(path) == blob:
        progress(path.name, path.stat().st_size, path.stat().st_size)
        return
    part = path.with_name(f"{path.name}.part")
    # A run stopped between the last byte and the renaming leaves a part that needs no request.
    if not (part.is_file() and git_blob_id(part) == blob):
        _continue(client, url, part, progress)
        got = git_blob_id(part)
        if got != blob:
            part.unlink()
            reason = f"not the published content (git blob {got}, expected {blob})"
            raise DownloadError(url, f"{reason} — deleted; run again to fetch it afresh")
    part.replace(path)


def _continue(client: httpx.Client, url: str, part: Path, progress: Progress) -> None:
    """Append to ``part`` what it lacks, or write it anew if the server does not serve ranges."""
    have = part.stat().st_size if part.is_file() else 0
    # A compressed reply would count its range in compressed bytes.
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            part.unlink()
            reason = f"the {have} bytes in {part.name} are not the beginning of this file"
            raise DownloadError(url, f"{reason} — deleted; run again to fetch it afresh")
        response.raise_for_status()
        if response.status_code != httpx.codes.PARTIAL_CONTENT:
            have = 0
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            sent = response.headers.get("Content-Range", "none")
            raise DownloadError(
                url,
                f"the server sent another range ({sent}, asked from {have}) — delete {part} and run again",
            )
        length = response.headers.get("Content-Length", "")
        total = have + int(length) if length.isdecimal() else None
        with part.open("ab" if have else "wb") as file:
            for chunk in response.iter_bytes():
                file.write(chunk)
                have += len(chunk)
                progress(part.name.removesuffix(".part"), have, total)


def _silent(_name: str, _done: int, _total: int | None) -> None:
    """No progress is shown."""
