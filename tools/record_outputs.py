"""Record what every command prints and writes on small inputs, so that two states of the code can be compared.

    python tools/record_outputs.py before                          # the code beside this script
    python tools/record_outputs.py after --source ../other/src     # the same commands on another checkout
    python tools/record_outputs.py --compare before after          # a unified diff; exit code 1 if they differ

The commands are in ``record_outputs.toml``. A recording is a folder with a text file for each: command, exit code,
output, errors, and the text of every file that was written or changed (of pictures, weights and logs the name alone).
What differs between two runs of one code is taken out: times, rates, dates, versions, commits, ports, random keys, and
hashes of paths and of what no user sees. With ``--but '"verdict":="outcome":'`` (a regular expression and what stands
for it; repeatable) an intended change is made in the older one before they are compared.

It takes about seven minutes of one core. The cases of official BBQ run where ``SECONDLOOK_DATA`` is set; what they
record names items and letters, no sentence of the data. The errors are made by one process, all else by one each.

Left out: help texts; ``demo`` (``eval planted`` for two minutes); ``subject train`` and ``data get``, but for their
errors; studies but S5 and experiments but L7, the same commands for longer; clusters.
"""

from __future__ import annotations

import argparse
import difflib
import http.client
import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from record_inputs import Upstream, write_inputs
from record_steady import UNREAD, steady, steady_table

ROOT = Path(__file__).resolve().parent.parent
IN_TURN = """
import shlex, sys
from secondlook.cli import main
sys.stderr = sys.stdout
for line in sys.stdin.read().splitlines():
    print(f"$ secondlook {line}", flush=True)
    sys.argv = ["secondlook", *shlex.split(line)]
    try:
        main()
    except SystemExit as left:
        print(f"exit code {left.code or 0}", flush=True)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", flush=True)
"""


class Recorder:
    """Runs commands in one folder, and tells what each said and left there."""

    def __init__(self, folder: Path, source: Path) -> None:
        self.folder = folder
        self.places = {str(folder): "<folder>", str(source): "<source>", str(ROOT): "<checkout>"}
        if data := os.environ.get("SECONDLOOK_DATA"):
            self.places[data] = "<data>"
        here = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        plain = {"COLUMNS": "80", "NO_COLOR": "1", "OMP_NUM_THREADS": "1", "TZ": "UTC", "HF_HUB_OFFLINE": "1"}
        self.environment = {**os.environ, **plain, "PATH": here, "PYTHONPATH": str(source)}
        self.files: dict[str, str] = {}
        self.changed()

    def run(self, argv: list[str], asked: str = "") -> str:
        """What a process said and left."""
        done = subprocess.run(  # noqa: S603 - our own commands
            [sys.executable, *argv], cwd=self.folder, env=self.environment, input=asked, capture_output=True, text=True
        )
        return self.told(done.returncode, done.stdout, done.stderr) + self.changed()

    def told(self, code: int, out: str, err: str) -> str:
        """Exit code and both outputs."""
        said = {"output": self.steady(out), "errors": self.steady(err)}
        return f"exit code {code}\n" + "".join(f"--- {name}\n{text}\n" for name, text in said.items() if text)

    def steady(self, text: str) -> str:
        """A text without what two runs of one code do not share."""
        return steady(text, self.places)

    def changed(self) -> str:
        """The files that are new or read otherwise than when they were last looked at."""
        told = ""
        for path in sorted(self.folder.rglob("*")):
            if not path.is_file() or path.suffix == ".pyc":
                continue
            name = re.sub(r"-[0-9a-f]{16}\b", "-<hash>", self.steady(str(path.relative_to(self.folder))))
            read = path.suffix in {".json", ".jsonl", ".csv", ".html"} and path.name not in UNREAD
            text = path.read_text("utf-8") if read else ""
            text = self.steady(steady_table(text) if path.suffix == ".csv" else text)
            if self.files.get(name) != text:
                self.files[name] = text
                told += f"--- file {name}\n{text}\n" if read else f"--- file {name}\n"
        return told

    def gateway(self, argv: list[str], port: int, requests: list[dict[str, Any]]) -> str:
        """What a gateway answers to the requests, and how it ends."""
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        server = subprocess.Popen([sys.executable, *argv], cwd=self.folder, env=self.environment, **pipes)  # noqa: S603
        while server.poll() is None and not listens(port):
            time.sleep(0.05)
        told = "".join(self.ask(port, **request) for request in requests) if server.poll() is None else ""
        server.terminate()
        out, err = server.communicate(timeout=60)
        return told + self.told(server.returncode, out, err) + self.changed()

    def ask(self, port: int, path: str, body: str | None = None, headers: dict[str, str] | None = None) -> str:
        """An answer: its status, the names of its headers, of our own the values too, and its body."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request(
            "POST" if body else "GET", path, body, {"content-type": "application/json", **(headers or {})}
        )
        answer = connection.getresponse()
        got = sorted((name.lower(), value) for name, value in answer.getheaders())
        names = [f"{name}: {value}" if name.startswith("x-secondlook") else name for name, value in got]
        text = answer.read().decode()
        connection.close()
        if path == "/metrics":  # what is counted; how often depends on the time it took
            text = "\n".join(line for line in text.splitlines() if line.startswith("#"))
        asked = f"--- request {path} {headers or ''}\n{body or ''}\n"
        return asked + self.steady(f"{answer.status}; {'; '.join(names)}") + f"\n{self.steady(text)}\n"


def listens(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def record(into: Path, source: Path) -> None:
    """Run all commands; a text file for each."""
    told = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
    into.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name, ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        folder = Path(name).resolve()
        write_inputs(folder)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        words = {"upstream": f"http://127.0.0.1:{server.server_port}/v1", "port": str(port)}
        words["data"] = os.environ.get("SECONDLOOK_DATA", "")
        words |= {word: text.format(**words) for word, text in told["words"].items()}
        recorder = Recorder(folder, source)

        def keep(case: str, line: str, run: Callable[[list[str]], str]) -> None:
            before = sum(os.times()[2:4])  # processor time of processes that have ended, user and system
            said = run(["-m", "secondlook.cli", *shlex.split(line.format(**words))])
            (into / f"{case}.txt").write_text(f"$ secondlook {line}\n{said}", "utf-8")
            sys.stderr.write(f"{sum(os.times()[2:4]) - before:6.1f} s  {case}\n")

        for case, line in told["cases"].items():
            if words["data"] or not line.startswith("eval bbq"):
                keep(case, line, recorder.run)
        for case, line in told["gateways"].items():
            keep(f"gateway-{case}", line, lambda argv: recorder.gateway(argv, port, told["requests"]))
            keep(f"audit-{case}", f"audit {case}.db", recorder.run)
            keep(f"audit-{case}-json", f"audit {case}.db --json --limit 0", recorder.run)
        lines = "\n".join(told["errors"]["lines"]).format(**words)
        (into / "errors.txt").write_text(recorder.run(["-c", IN_TURN], lines), "utf-8")
        server.shutdown()


def compare(old: Path, new: Path, intended: list[str]) -> int:
    """Print how two recordings differ; 1 if they do."""
    before, after = ({path.name: path.read_text("utf-8") for path in folder.glob("*.txt")} for folder in (old, new))
    if not before or not after:
        raise SystemExit(f"{new if before else old} holds no recording; give the folders of two")
    found: list[str] = []
    for name in sorted(before | after):
        said = before.get(name, "")
        for pattern, _, text in (change.partition("=") for change in intended):
            said = re.sub(pattern, text, said)
        lines = said.splitlines(keepends=True), after.get(name, "").splitlines(keepends=True)
        found += difflib.unified_diff(*lines, f"{old}/{name}", f"{new}/{name}")
    sys.stdout.writelines(found)
    return int(bool(found))


def main() -> int:
    """Record, or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("into", type=Path, nargs="?", help="folder of the recording, which must not exist")
    parser.add_argument("--source", type=Path, default=ROOT / "src", help="folder that holds the package to run")
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("OLD", "NEW"), help="two recordings")
    parser.add_argument("--but", action="append", default=[], metavar="REGEX=TEXT", help="a change that is intended")
    asked = parser.parse_args()
    if asked.compare:
        old, new = asked.compare
        return compare(old, new, asked.but)
    if asked.into is None or asked.into.exists():
        parser.error("give a folder that does not exist yet, or --compare two that do")
    record(asked.into, asked.source.resolve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
