import errno
import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from secondlook.benchmarks.bbq import download as module
from secondlook.benchmarks.bbq.download import download, git_blob_id
from secondlook.download import DownloadError

AGE = b"".join(b'{"example_id": %d}\n' % i for i in range(20_000))
TABLE = b"category,question_index,example_id,target_loc\n"


def blob(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass
class Repository:
    """A file server on loopback that can be told to misbehave, and remembers what it was asked."""

    root: Path
    url: str = ""
    cut: int | None = None
    answer: Response | None = None
    requests: list[tuple[str, str | None]] = field(default_factory=list)

    async def __call__(self, scope, receive, send):
        request = Request(scope)
        self.requests.append((request.url.path.rpartition("/")[2], request.headers.get("range")))
        assert request.headers["accept-encoding"] == "identity"
        if self.answer is not None:
            await self.answer(scope, receive, send)
            return
        path = self.root / request.path_params["name"]
        if not path.is_file():
            await Response(status_code=404)(scope, receive, send)
        elif self.cut is None:
            await FileResponse(path)(scope, receive, send)
        else:
            content = path.read_bytes()
            headers = [(b"content-length", b"%d" % len(content))]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": content[: self.cut], "more_body": True})
            # Returning with bytes owed, uvicorn closes the connection.


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Iterator[Repository]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(
        module, "FILES", {"data/Age.jsonl": blob(AGE), "supplemental/additional_metadata.csv": blob(TABLE)}
    )
    root = tmp_path / "repository"
    (root / "data").mkdir(parents=True)
    (root / "supplemental").mkdir()
    (root / "data" / "Age.jsonl").write_bytes(AGE)
    (root / "supplemental" / "additional_metadata.csv").write_bytes(TABLE)
    served = Repository(root)
    app = Starlette(routes=[Route("/pinned/{name:path}", served)])
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", ws="none"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        served.url = f"http://127.0.0.1:{listener.getsockname()[1]}/pinned/"
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            assert thread.is_alive(), "the file server did not start"
            time.sleep(0.01)
        yield served
        server.should_exit = True
        thread.join()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache" / "bbq"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_every_file_is_fetched_verified_and_not_fetched_again(repository, folder):
    paths = download(folder, repository.url)
    assert paths == [folder / "Age.jsonl", folder / "additional_metadata.csv"]
    assert paths[0].read_bytes() == AGE
    assert names(folder) == ["Age.jsonl", "additional_metadata.csv"]
    assert repository.requests == [("Age.jsonl", None), ("additional_metadata.csv", None)]
    seen = []
    assert download(folder, repository.url, lambda *told: seen.append(told)) == paths
    assert len(repository.requests) == 2
    assert seen == [
        ("Age.jsonl", len(AGE), len(AGE)),
        ("additional_metadata.csv", len(TABLE), len(TABLE)),
    ]


def test_a_connection_cut_half_way_is_resumed_where_it_stopped(repository, folder):
    half = len(AGE) // 2
    repository.cut = half
    with pytest.raises(DownloadError, match=r"connection failed \(.*\) — run again to resume") as error:
        download(folder, repository.url)
    assert error.value.url == f"{repository.url}data/Age.jsonl"
    assert names(folder) == ["Age.jsonl.part"]
    assert (folder / "Age.jsonl.part").read_bytes() == AGE[:half]
    repository.cut = None
    seen = []
    download(folder, repository.url, lambda *told: seen.append(told))
    assert repository.requests[1] == ("Age.jsonl", f"bytes={half}-")
    assert (folder / "Age.jsonl").read_bytes() == AGE
    assert names(folder) == ["Age.jsonl", "additional_metadata.csv"]
    ours = [(done, total) for name, done, total in seen if name == "Age.jsonl"]
    assert ours[-1] == (len(AGE), len(AGE))
    assert all(done > half and total == len(AGE) for done, total in ours)


def test_a_server_that_ignores_ranges_sends_it_all_again(repository, folder, monkeypatch):
    folder.mkdir(parents=True)
    (folder / "Age.jsonl.part").write_bytes(AGE[:100])
    repository.cut = len(AGE)  # the plain answer, without ranges, whole
    monkeypatch.setattr(module, "FILES", {"data/Age.jsonl": blob(AGE)})
    download(folder, repository.url)
    assert repository.requests == [("Age.jsonl", "bytes=100-")]
    assert (folder / "Age.jsonl").read_bytes() == AGE


def test_a_part_that_is_whole_needs_no_request(repository, folder):
    folder.mkdir(parents=True)
    (folder / "Age.jsonl.part").write_bytes(AGE)
    download(folder, repository.url)
    assert repository.requests == [("additional_metadata.csv", None)]
    assert names(folder) == ["Age.jsonl", "additional_metadata.csv"]


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (b"x" * 100, f"not the published content \\([0-9a-f]{{40}}, expected {blob(AGE)}\\)"),
        (AGE + b"x", "the [0-9]+ bytes in Age.jsonl.part are not the beginning of this file"),
    ],
)
def test_a_wrong_part_is_deleted_and_the_next_run_starts_afresh(repository, folder, part, reason):
    folder.mkdir(parents=True)
    (folder / "Age.jsonl.part").write_bytes(part)
    with pytest.raises(DownloadError, match=f"Age.jsonl: {reason} — deleted; run again to fetch it afresh$"):
        download(folder, repository.url)
    assert names(folder) == []
    download(folder, repository.url)
    assert repository.requests[1] == ("Age.jsonl", None)
    assert (folder / "Age.jsonl").read_bytes() == AGE


def test_a_file_corrupted_on_disk_is_replaced(repository, folder):
    download(folder, repository.url)
    (folder / "Age.jsonl").write_bytes(AGE[:-1])
    download(folder, repository.url)
    assert (folder / "Age.jsonl").read_bytes() == AGE


def test_content_corrupted_on_the_server_is_refused(repository, folder):
    (repository.root / "data" / "Age.jsonl").write_bytes(AGE.replace(b"7", b"8"))
    with pytest.raises(DownloadError, match="not the published content"):
        download(folder, repository.url)
    assert names(folder) == []


def test_another_range_than_asked_for_is_refused(repository, folder):
    folder.mkdir(parents=True)
    (folder / "Age.jsonl.part").write_bytes(AGE[:100])
    repository.answer = Response(AGE[50:], 206, {"content-range": f"bytes 50-{len(AGE) - 1}/{len(AGE)}"})
    with pytest.raises(DownloadError, match=r"the server sent another range \(bytes 50-.*, asked from 100\)"):
        download(folder, repository.url)
    assert (folder / "Age.jsonl.part").read_bytes() == AGE[:100]


def test_a_size_the_server_does_not_tell_is_not_made_up(repository, folder, monkeypatch):
    class Chunked(Response):
        async def __call__(self, scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": TABLE})

    monkeypatch.setattr(module, "FILES", {"data/Age.jsonl": blob(TABLE)})
    repository.answer = Chunked()
    seen = []
    download(folder, repository.url, lambda *told: seen.append(told))
    assert seen == [("Age.jsonl", len(TABLE), None)]


def test_a_404_is_one_clear_line(repository, folder):
    (repository.root / "data" / "Age.jsonl").unlink()
    with pytest.raises(DownloadError) as error:
        download(folder, repository.url)
    expected = f"{repository.url}data/Age.jsonl: HTTP 404 Not Found — check the address or try again later"
    assert str(error.value) == expected


def test_an_address_nobody_listens_on(folder, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(DownloadError, match=rf"^http://127.0.0.1:{port}/data/Age.jsonl: connection failed \("):
        download(folder, f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("address", ["ftp://example.org", "not an address", "http://host:port"])
def test_an_address_that_is_none(folder, address):
    with pytest.raises(DownloadError, match=r"not a web address \(.*\) — check it$"):
        download(folder, address)


def test_a_folder_that_cannot_be_made(repository, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DownloadError, match=r"cannot write .*Age.jsonl .* — make room or choose another folder"):
        download(tmp_path / "file" / "bbq", repository.url)
    assert repository.requests == []


def test_a_full_disk(repository, folder, monkeypatch):
    def full(self, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(DownloadError, match=r"cannot write .*Age.jsonl \(No space left on device\) — make room"):
        download(folder, repository.url)
    assert names(folder) == ["Age.jsonl.part"]


def test_the_official_files_have_the_pinned_ids(bbq_data):
    files = {Path(remote).name: blob for remote, blob in module.FILES.items()}
    assert len(files) == 12
    present = [path for path in bbq_data.iterdir() if path.name in files]
    assert len(present) >= 6
    assert {path.name: git_blob_id(path) for path in present} == {path.name: files[path.name] for path in present}


def test_official_files_arrive_unchanged(repository, bbq_data, folder, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    present = {remote: blob for remote, blob in module.FILES.items() if (bbq_data / Path(remote).name).is_file()}
    monkeypatch.setattr(module, "FILES", present)
    (repository.root / "data" / "Age.jsonl").unlink()
    for remote in present:
        (repository.root / remote).unlink(missing_ok=True)
        (repository.root / remote).symlink_to(bbq_data / Path(remote).name)
    assert [path.name for path in download(folder, repository.url)] == [Path(remote).name for remote in present]
