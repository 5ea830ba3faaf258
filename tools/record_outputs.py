"""Record what every command prints and writes on small inputs, so that two states of the code can be compared.

    python tools/record_outputs.py before                          # the code beside this script
    python tools/record_outputs.py after --source ../other/src     # the same commands on another checkout
    python tools/record_outputs.py --compare before after          # a unified diff; exit code 1 if they differ
    python tools/record_outputs.py --compare before after --but '"verdict":="outcome":'

The commands are in ``record_outputs.toml``. A recording is a folder with a text file for each: command, exit code,
output, errors, and the text of every file that was written or changed (of pictures, weights and logs the name alone).
What differs between two runs of one code is taken out: times, rates, dates, versions, commits, ports, random keys, and
hashes of paths and of what no user sees. ``--but REGEX=TEXT`` (repeatable) makes an intended change in the older one
before they are compared.

It takes SECONDS of one core. The cases of official BBQ run where ``SECONDLOOK_DATA`` is set; what they record
names items and letters, no sentence of the data. A case is a process of its own; the errors are made in one, in turn.

Left out: help texts; ``demo``, which is ``eval planted`` for two minutes; ``subject train`` and the search of
``attack``, which train (their errors are here); other studies than S5 and experiments than L7, the same commands for
longer; clusters; ``data get``, which downloads (its error is here).
"""

from __future__ import annotations

import argparse
import csv
import difflib
import http.client
import io
import json
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

ROOT = Path(__file__).resolve().parent.parent
IN_TURN = """
import shlex, sys
from secondlook.cli import main
sys.stderr = sys.stdout
for line in sys.stdin.read().splitlines():
    print(f"$ secondlook {line}", flush=True)
    sys.argv = ["secondlook", *shlex.split(line)]
    code = "no exit"
    try:
        main()
    except SystemExit as left:
        code = left.code or 0
    except BaseException as error:
        code = f"{type(error).__name__}: {error}"
    print(f"exit code {code}", flush=True)
"""
# Fields of JSON and columns of CSV that no two runs share.
VARYING = {"seconds", "latency", "rates", "wall", "processor", "gpu_hours", "time", "opening", "asking", "reporting"}
VARYING |= {"versions", "commit", "machine", "salt", "hash", "hash of the questions", "hash of its words"}
UNREAD = {"logs.json", "eval-set.json", "times.json", ".driver.json", "index.html"}
TEXTS = {".json", ".jsonl", ".csv", ".html"}
PLAIN = [
    (r"127\.0\.0\.1:\d{5}", "127.0.0.1:<port>"),
    (r"(?m)^(seconds per answer) .*", r"\1 <seconds>"),
    (r"(?m)(?<=\d) +\d+\.(\d|\d{3}) *$", " <seconds>"),  # the last column of refusal's tables, and of audit's
    (r"(?m)(at profile \w+), [\d.]+ s$", r"\1, <seconds>"),
    (r"(?s)\npart +seconds .*(?=\nNothing was sent)", "\n<seconds>"),
    (r"\d{4}-\d\d-\d\dT[\d:-]+_(\w+)_\w{22}\.eval", r"<date>_\1_<id>.eval"),
    (r"\b(\d{4}-)?\d\d-\d\d[ T]\d\d:\d\d:(\d\d|…)", "<date>"),
    (r"\bsl-[\w-]{43}", "<key>"),
    (r"\b[0-9a-f]{32}\b", "<id>"),
]


def without(value: Any) -> Any:
    """A value of JSON in which the varying fields say so."""
    if isinstance(value, dict):
        return {
            name: f"<{name}>" if name in VARYING and part is not None else without(part) for name, part in value.items()
        }
    return [without(part) for part in value] if isinstance(value, list) else value


def table(text: str) -> str:
    """A CSV file in which the varying columns say so."""
    rows = list(csv.reader(io.StringIO(text)))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for number, row in enumerate(rows):
        cells = zip(rows[0], row, strict=True)
        writer.writerow(f"<{name}>" if number and name in VARYING and cell else cell for name, cell in cells)
    return out.getvalue()


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
        for path, name in self.places.items():
            text = text.replace(path, name)
        try:
            text = json.dumps(without(json.loads(text)), indent=1, ensure_ascii=False)
        except ValueError:
            lines = text.splitlines()
            if lines and all(line.startswith("{") for line in lines):
                text = "\n".join(json.dumps(without(json.loads(line)), ensure_ascii=False) for line in lines)
        for pattern, told in PLAIN:
            text = re.sub(pattern, told, text)
        return text.rstrip("\n")

    def changed(self) -> str:
        """The files that are new or read otherwise than when they were last looked at."""
        told = ""
        for path in sorted(self.folder.rglob("*")):
            if not path.is_file() or path.suffix == ".pyc":
                continue
            name = re.sub(r"-[0-9a-f]{16}\b", "-<hash>", self.steady(str(path.relative_to(self.folder))))
            read = path.suffix in TEXTS and path.name not in UNREAD
            text = path.read_text("utf-8") if read else ""
            text = self.steady(table(text) if path.suffix == ".csv" else text)
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
        sent = {"content-type": "application/json", **(headers or {})}
        connection.request("GET" if body is None else "POST", path, body, sent)
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
        words = {"upstream": f"http://127.0.0.1:{server.server_port}/v1", "data": os.environ.get("SECONDLOOK_DATA", "")}
        words |= {"port": str(port)}
        words |= {word: text.format(**words) for word, text in told["words"].items()}
        recorder = Recorder(folder, source)

        def keep(case: str, line: str, run: Callable[[list[str]], str]) -> None:
            before = sum(os.times()[2:4])
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
    differ = 0
    for name in sorted(before | after):
        said = before.get(name, "")
        for pattern, _, text in (change.partition("=") for change in intended):
            said = re.sub(pattern, text, said)
        lines = said.splitlines(keepends=True), after.get(name, "").splitlines(keepends=True)
        difference = "".join(difflib.unified_diff(*lines, f"{old}/{name}", f"{new}/{name}"))
        sys.stdout.write(difference)
        differ |= bool(difference)
    return differ


def main() -> int:
    """Record, or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("into", type=Path, nargs="?", help="folder of the recording, which must not exist")
    parser.add_argument("--source", type=Path, default=ROOT / "src", help="folder that holds the package to run")
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("OLD", "NEW"), help="two recordings")
    parser.add_argument("--but", action="append", default=[], metavar="REGEX=TEXT", help="a change that is intended")
    asked = parser.parse_args()
    if asked.compare:
        return compare(*asked.compare, asked.but)
    if asked.into is None or asked.into.exists():
        parser.error("give a folder that does not exist yet, or --compare two that do")
    record(asked.into, asked.source.resolve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
