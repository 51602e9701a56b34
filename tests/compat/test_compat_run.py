"""``python -m greenwire.compat`` runs scripts, modules and directories as ``python`` itself does."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FACTS = """\
import sys, __main__
print(sys.argv, sys.path[0], __name__, __file__, __package__)
print(__spec__ and __spec__.name, __main__.__dict__ is globals(), sys.modules["__main__"].x if "x" in globals() else "")
print(sys._getframe().f_code.co_filename, type(__builtins__).__name__, type(__loader__).__name__)
import beside
print(beside.__name__, sys.path.count(sys.path[0]))
"""


def python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """What ``python *arguments`` says, and how it ends."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


def compat(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return python("-m", "greenwire.compat", *arguments, cwd=cwd)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A script, a module, a package and a directory, each of which tells how it was run."""
    for name in ("", "package", "directory"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "beside.py").touch()
    (tmp_path / "script.py").write_text(FACTS)
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "__main__.py").write_text(FACTS)
    (tmp_path / "package" / "script.py").write_text(FACTS)
    (tmp_path / "directory" / "__main__.py").write_text(FACTS)
    shutil.make_archive(str(tmp_path / "archive"), "zip", tmp_path / "directory")
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        ["script.py"],
        ["script.py", "-m", "a b", "--help"],
        ["package/script.py", "x"],
        ["-m", "script", "x"],
        ["-m", "package", "-h"],
        ["-m", "package.script", "x"],
        ["directory", "x"],
        ["archive.zip", "x"],
    ],
    ids=" ".join,
)
def test_it_is_run_as_python_runs_it(folder: Path, arguments: list[str]):
    expected = python(*arguments, cwd=folder)
    assert expected.returncode == 0
    assert compat(*arguments, cwd=folder).stdout == expected.stdout


def test_a_linked_script_finds_what_is_beside_its_file(folder: Path):
    (folder / "link").mkdir()
    (folder / "link" / "linked.py").symlink_to(folder / "script.py")
    expected = python("link/linked.py", cwd=folder)
    assert expected.returncode == 0
    assert compat("link/linked.py", cwd=folder).stdout == expected.stdout


def test_the_exit_code_is_that_of_the_script(tmp_path: Path):
    (tmp_path / "ends.py").write_text("import sys; sys.exit(int(sys.argv[1]))")
    assert compat("ends.py", "3", cwd=tmp_path).returncode == 3
    failed = compat("ends.py", "x", cwd=tmp_path)
    assert failed.returncode == 1
    assert "ValueError: invalid literal" in failed.stderr


def test_without_a_script_it_says_how_to_use_it(tmp_path: Path):
    for wrong in ([], ["-x"], ["-m"]):
        ended = compat(*wrong, cwd=tmp_path)
        assert ended.returncode == 1
        assert "usage: python -m greenwire.compat" in ended.stderr
    helped = compat("--help", cwd=tmp_path)
    assert helped.returncode == 0
    assert "usage: python -m greenwire.compat" in helped.stdout


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["servr.py"], "there is no 'servr.py'"),
        (["-m", "servr"], "there is no module 'servr' that can be run"),
        (["-m", "servr.inner"], "there is no module 'servr.inner' that can be run"),
        (["-m", "json"], "there is no module 'json' that can be run"),
        (["empty"], "there is no '__main__' module in 'empty'"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, arguments: list[str], what: str):
    (tmp_path / "empty").mkdir()
    ended = compat(*arguments, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (1, f"greenwire.compat: {what}\n")


def test_main_outlives_the_script(tmp_path: Path):
    (tmp_path / "lives.py").write_text(
        "import atexit, __main__\nx = 5\n@atexit.register\ndef last():\n    print(__import__('__main__').x)\n"
    )
    assert compat("lives.py", cwd=tmp_path).stdout == "5\n"
    assert compat("-m", "lives", cwd=tmp_path).stdout == "5\n"
