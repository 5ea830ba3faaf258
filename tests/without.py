"""The command line where only some packages are installed: whatever else is imported is not there.

A program, so that nothing is imported already: ``python without.py EXTRA ARGUMENT…``; EXTRA is ``none`` for the package
alone.
"""

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]


def closure(extra):
    """Distributions that an extra installs, from the project file and from what they require themselves."""
    waiting = [*PROJECT["dependencies"], *(PROJECT["optional-dependencies"].get(extra, ()))]
    known = set()
    while waiting:
        name, marker = re.match(r"([\w.-]+(?:\[[\w,-]+\])?)[^;]*(?:;(.*))?", waiting.pop()).groups()
        if (extras := re.match(r"secondlook\[(.*)\]", name)) is not None:
            for one in extras[1].split(","):
                waiting += PROJECT["optional-dependencies"][one]
            continue
        name = re.sub(r"[-_.]+", "-", name.partition("[")[0]).lower()
        if (marker and "extra" in marker) or name in known:
            continue
        known.add(name)
        try:
            waiting += metadata.requires(name) or ()
        except metadata.PackageNotFoundError:
            known.discard(name)  # of another platform
    return known


class Filtered:
    """A finder of modules that does not find what only others installed."""

    def __init__(self, finder, hidden):
        self.finder, self.hidden = finder, hidden

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in self.hidden else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)


def hidden(allowed):
    """Modules of no allowed distribution."""
    return {
        module
        for module, owners in metadata.packages_distributions().items()
        if module != "secondlook" and not any(re.sub(r"[-_.]+", "-", one).lower() in allowed for one in owners)
    }


if __name__ == "__main__":
    extra, *arguments = sys.argv[1:]
    away = hidden(closure(extra))
    sys.meta_path[:] = [Filtered(finder, away) for finder in sys.meta_path]
    sys.path[:] = [place for place in sys.path if place != str(Path(__file__).parent)]
    sys.argv = ["secondlook", *arguments]
    from secondlook import cli

    cli.main()
