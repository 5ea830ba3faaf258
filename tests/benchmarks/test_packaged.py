"""A benchmark that another package brings: what is wrong with it is said where it is asked for, and nowhere else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from secondlook.benchmarks import benchmark as door
from secondlook.benchmarks.benchmark import Graded, find, names
from secondlook.prompts.worded import Worded

GOOD = (Path(__file__).parents[2] / "examples/benchmark/my_sums.py").read_text("utf-8")


def install(folder, source, package="my-sums", name="sums"):
    """A package in a folder as pip leaves one: its module, and who it is."""
    module = package.replace("-", "_")
    about = folder / f"{module}-0.1.dist-info"
    about.mkdir(parents=True)
    (folder / f"{module}.py").write_text(source)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.1\n")
    (about / "entry_points.txt").write_text(f"[secondlook.benchmarks]\n{name} = {module}:SUMS\n")


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(door, "_REGISTERED", {})
    for module in ("my_sums", "their_sums"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    door._installed.cache_clear()
    yield tmp_path
    door._installed.cache_clear()


@pytest.mark.parametrize("condition", ["", "    @property\n    def condition(self):\n        return None\n"])
def test_one_that_is_right_is_found(site, condition):
    """What an item has may be worked out, too."""
    source = GOOD.replace("    condition: str | None\n", "").replace("    right: int\n", f"    right: int\n{condition}")
    install(site, source if condition else GOOD)
    assert "sums" in names()
    assert find("sums").about == "Sums of two numbers."


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("import read_number", "import read_numbr", "ImportError: cannot import name 'read_numbr'"),
        ("SUMS = Sums()", "raise SystemExit(3)", "SystemExit: 3"),
        ("def read(", "def reads(", "TypeError: Can't instantiate abstract class Sums"),
        ("SUMS = Sums()", "SUMS = Sums", "it is a ABCMeta, and no instance of Benchmark"),
        ('name = "sums"', 'name = "backwards"', "its name is 'backwards'; give both the same name"),
        ('    name = "sums"\n', "", "AttributeError: 'Sums' object has no attribute 'name'"),
        ('    about = "Sums of two numbers."\n', "", "AttributeError: 'Sums' object has no attribute 'about'"),
        ("    options = SumOptions\n", "", "AttributeError: 'Sums' object has no attribute 'options'"),
        ("@dataclass(frozen=True, slots=True)\nclass SumOptions", "class SumOptions", "SumOptions is no dataclass"),
        ("    count: int = option", "    count: Int = option", "NameError: name 'Int' is not defined"),
        ('option(20, "How many sums.")', "20", "field count of its options has no help; make it by option"),
        ("    condition: str | None\n", "", "its item Sum has no condition"),
    ],
)
def test_what_is_wrong_with_one_is_one_line_that_names_its_package(site, right, wrong, said):
    assert right in GOOD
    install(site, GOOD.replace(right, wrong))
    with pytest.raises(ValueError, match=rf"^benchmark 'sums' of my-sums \(my_sums:SUMS\) cannot be used: {said}"):
        find("sums")


def test_a_name_that_two_packages_claim_is_neither_s(site):
    install(site, GOOD)
    install(site, GOOD, "their-sums")
    with pytest.raises(ValueError, match=r"brought by .*my-sums.* and .*their-sums|.*their-sums.* and .*my-sums"):
        find("sums")


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("import nothing_of_this_name", "of my-sums (my_sums:SUMS) cannot be used: ModuleNotFoundError"),
        (GOOD.replace("count: int", "count: int | str"), "cannot be used: no command line takes one of its options"),
    ],
)
def test_one_that_is_broken_leaves_all_other_commands_alone(tmp_path, module, said):
    assert module != GOOD
    install(tmp_path, module)

    def ask(*words):
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]), "COLUMNS": "80"}
        command = [sys.executable, "-m", "secondlook.cli", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    listed = ask("eval", "--help")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "planted" in listed.stdout
    asked = ask("eval", "sums", "--count", "3", "--critic", "self")
    assert (asked.returncode, asked.stdout) == (2, "")
    (line,) = asked.stderr.splitlines()
    assert line.startswith(f"error: benchmark 'sums' {said}")


def test_a_status_that_nobody_knows_is_refused_where_it_is_given():
    with pytest.raises(ValueError, match="'unread' of a graded answer is none of ok, unparsed, refused, error"):
        Graded("?", None, "unread")


@pytest.mark.parametrize(
    ("part", "ask"), [("question", lambda case: case.question()), ("grade", lambda case: case.grade("7"))]
)
def test_a_case_without_a_part_says_which(part, ask):
    class Bare(Worded):
        pass

    with pytest.raises(NotImplementedError, match=rf"Bare has no {part}\(\); define it"):
        ask(Bare())
