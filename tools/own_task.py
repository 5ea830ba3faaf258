"""Run the example of docs/own-task.md as the page says, and write what it said into the page, or ``--check`` it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from evidence_tables import block

ROOT = Path(__file__).parent.parent
PAGE, EXAMPLE = ROOT / "docs" / "own-task.md", ROOT / "examples" / "own-task"


def commands(text: str, name: str) -> str:
    """The commands of one of the page's blocks."""
    (found,) = re.findall(rf"<!-- {name}:start -->\n```sh\n(.*?)```\n<!-- {name}:end -->", text, re.DOTALL)
    return str(found)


def run(script: str, folder: Path, seconds: int = 900) -> str:
    """What a shell prints in a folder; what it leaves running is stopped."""
    here = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    shell = f"set -e; trap 'kill $(jobs -p) 2>/dev/null || true' EXIT; {script}"
    environment = {**os.environ, "PATH": here, "COLUMNS": "100"}
    done = subprocess.run(  # noqa: S603 - the page's own commands
        ["bash", "-c", shell],  # noqa: S607
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=seconds,
    )
    return done.stdout


def filled(text: str, folder: Path) -> str:
    """The page as it should be, from a run in a folder that holds the example's files."""
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True)
    mark = "# then it is deployed"
    said, served = run(f"{commands(text, 'run')}\necho '{mark}'\n{commands(text, 'serve')}", folder).split(f"{mark}\n")
    answer = said[said.index("\narm  ") : said.index("\ncritic: self\n")].strip()
    told = run("secondlook diagnose runs/sums --arm self", folder)
    (even,) = re.findall(r"^(Critic: .*?)\n(?=[A-Z][a-z ]+:)", told, re.DOTALL | re.MULTILINE)
    # HTTP ends the lines of a head, which curl -i prints, with a carriage return too.
    for name, words in (("said", answer), ("even", even), ("served", served.replace("\r", "").strip())):
        text = block(text, name, f"```\n{words}\n```\n")
    return text


def main() -> int:
    """Rewrite the page, or compare it."""
    old = PAGE.read_text("utf-8")
    with tempfile.TemporaryDirectory() as folder:
        text = filled(old, Path(folder))
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text, encoding="utf-8")
    elif text != old:
        sys.stderr.write(f"{PAGE.name} does not show what its example says; run: python tools/own_task.py\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
