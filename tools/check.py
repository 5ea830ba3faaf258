"""Check that every generated page is what its tool writes now: each tool with ``--check``, in one process.

Of pictures it checks those that a tool draws from records; not the figures of results, nor what a browser photographs.
One process, since each tool imports much and computes little.
"""

from __future__ import annotations

import runpy
import sys
import traceback
from pathlib import Path

TOOLS = (
    *("reference", "pictures", "real_table", "excerpts", "demo_table", "evidence_tables", "claims_table"),
    *("verdict_plane", "family_table", "scale_tables", "coverage_table", "gate_tables", "limits_on_real", "findings"),
    "gateway_table",
)
"""Those that read committed files alone. ``own_task`` and ``tutorials`` run the product, and tests call them."""


def fails(tool: Path) -> bool:
    """Whether a tool, run as a program, ends with an error, which is then told."""
    try:
        runpy.run_path(str(tool), run_name="__main__")
    except SystemExit as left:
        if isinstance(left.code, str):
            sys.stderr.write(f"{left.code}\n")
        return bool(left.code)
    except Exception:
        traceback.print_exc()
        return True
    return False


def main() -> int:
    """Run all; each that fails has said why."""
    sys.argv[1:] = ["--check"]
    failed = [tool for tool in TOOLS if fails(Path(__file__).parent / f"{tool}.py")]
    if failed:
        sys.stderr.write(f"{len(failed)} of {len(TOOLS)} tools would write something else: {', '.join(failed)}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
