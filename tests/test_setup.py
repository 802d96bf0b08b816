"""What tools/setup.py decides, the verbs of the Makefile, and how JupyterLab is started.

Nothing here installs anything: environments are empty ones, and pip is never run.
"""

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
POSIX = pytest.mark.skipif(os.name == "nt", reason="fakes a Python with a shell script")
MAKE = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")


def load(name: str) -> ModuleType:
    """Import a file of tools/, which is no package."""
    spec = importlib.util.spec_from_file_location(f"tools_{name}", ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


BENCH_LOCK = "benchmark/requirements.txt"
setup = load("setup")
lab = load("lab")


def python(version: str = "3.12.1", **changes: object) -> "setup.Python":
    """Describe a Python that fits, but for what is given."""
    fits = {"path": "/usr/bin/python3", "machine": "x86_64", "bits": 64, "venv": True}
    return setup.Python(**{**fits, "version": version, **changes})


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Make a folder with what the stamp looks at, and an environment that is ready."""
    root = tmp_path / "checkout"
    for folder in ("tools", "benchmark"):
        (root / folder).mkdir(parents=True)
    for name in (*setup.INPUTS, BENCH_LOCK):
        (root / name).write_text(f"stands for {name}\n")
    venv.create(root / ".venv", symlinks=os.name != "nt")
    setup.write_stamp(root / ".venv", setup.fingerprint(root, inside(root)))
    return root


def inside(root: Path) -> "setup.Python":
    """Ask an environment's Python what it is."""
    found = setup.probe([str(setup.venv_python(root / ".venv"))])
    assert found is not None
    return found


# Which Python


def test_old_pythons_can_read_the_set_up() -> None:
    source = (ROOT / "tools" / "setup.py").read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 6))


@pytest.mark.parametrize("version", ["3.11.0", "3.12.1", "3.13.0rc1"])
def test_a_python_that_fits_is_taken(version: str) -> None:
    assert setup.objection(python(version), "Linux") is None


@pytest.mark.parametrize(
    ("wrong", "system", "line"),
    [
        (
            python("3.10.13"),
            "Linux",
            "found Python 3.10.13 at /usr/bin/python3, expected 3.11, 3.12 or 3.13: "
            "install one, or set PYTHON=/path/to/python",
        ),
        (python("3.14.0"), "Linux", "expected 3.11, 3.12 or 3.13"),
        (python("2.7.18"), "Linux", "expected 3.11, 3.12 or 3.13"),
        (python(venv=False), "Linux", "apt install python3-venv"),
        (python(), "Darwin", "on Darwin x86_64, 64 bits, expected one that TensorFlow"),
        (python(machine="ARM64"), "Windows", "on Windows ARM64"),
        (python(bits=32), "Linux", "32 bits"),
    ],
)
def test_a_python_that_does_not_fit_gets_one_line(
    wrong: "setup.Python", system: str, line: str
) -> None:
    said = setup.objection(wrong, system)
    assert line in said
    assert "\n" not in said


def fake(folder: Path, name: str, answer: "setup.Python | None") -> Path:
    """Write a command that answers the probe, or that fails as a version manager's shim may."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    does = "exit 127" if answer is None else f"echo '{json.dumps(answer._asdict())}'"
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)
    return path


@POSIX
def test_where_this_python_is_too_old_another_on_the_path_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    this = setup.probe([sys.executable])
    old = fake(tmp_path, "python3", this._replace(version="3.9.1", path="/old"))
    fake(tmp_path, "python3.13", None)
    fake(tmp_path, "python3.12", this._replace(venv=False))
    fake(tmp_path, "python3.11", this._replace(version="3.11.9", path="/fits"))
    monkeypatch.setattr(sys, "executable", str(old))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert setup.choose(only_this=False).path == "/fits"
    assert "3.9.1 at /old" in capsys.readouterr().out
    with pytest.raises(setup.SetupError, match=r"^found Python 3\.9\.1 at /old, expected 3\.11"):
        setup.choose(only_this=True)


@POSIX
def test_where_none_fits_the_line_is_about_the_one_that_was_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = fake(tmp_path, "python3", python("3.8.0", path="/old"))
    monkeypatch.setattr(sys, "executable", str(old))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(setup.SetupError, match=r"found Python 3\.8\.0 at /old"):
        setup.choose(only_this=False)


# What is to be done


def test_a_second_run_has_nothing_to_do(checkout: Path) -> None:
    assert setup.judge(checkout) == ("ready", "")


def test_a_new_checkout_gets_an_environment(tmp_path: Path) -> None:
    assert setup.judge(tmp_path)[0] == "make"


@pytest.mark.parametrize("name", setup.INPUTS)
def test_a_changed_file_is_noticed(checkout: Path, name: str) -> None:
    (checkout / name).write_text("something else\n")
    assert setup.judge(checkout) == ("update", f"changed: {name}")


def test_a_run_that_was_cut_short_is_begun_again(checkout: Path) -> None:
    setup.write_stamp(checkout / ".venv", setup.UNFINISHED)
    assert setup.judge(checkout) == ("make", "the last run did not finish")


def test_a_run_that_was_cut_short_before_anything_was_written(tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    assert setup.judge(tmp_path)[0] == "make"


def test_a_moved_environment_is_made_anew(checkout: Path) -> None:
    moved = checkout.rename(checkout.with_name("elsewhere"))
    verdict, why = setup.judge(moved)
    assert verdict == "make"
    assert str(checkout) in why


def test_an_environment_whose_python_is_gone_is_made_anew(checkout: Path) -> None:
    setup.venv_python(checkout / ".venv").unlink()
    verdict, why = setup.judge(checkout)
    assert verdict == "make"
    assert "does not run" in why


def test_an_environment_whose_python_was_replaced_is_made_anew(checkout: Path) -> None:
    stamp = setup.fingerprint(checkout, inside(checkout)._replace(version="3.11.0"))
    setup.write_stamp(checkout / ".venv", stamp)
    assert setup.judge(checkout)[0] == "make"


def test_another_python_that_is_asked_for_by_name_is_noticed(checkout: Path) -> None:
    own = inside(checkout)
    assert setup.judge(checkout, own)[0] == "ready"
    assert setup.judge(checkout, own._replace(version="3.13.99"))[0] == "make"


def test_an_environment_made_by_hand_is_kept_and_filled(checkout: Path) -> None:
    (checkout / ".venv" / setup.STAMP).unlink()
    assert setup.judge(checkout) == ("update", ".venv was made by hand")


def test_a_folder_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "mine.txt").write_text("do not delete")
    with pytest.raises(setup.SetupError, match=r"\.venv is in the way"):
        setup.judge(tmp_path)


# How it is done


def test_the_stamp_is_written_last(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []

    def run(command: list[str], _: Path) -> None:
        assert setup.judge(checkout)[0] == "make"  # as it would be if the machine stopped now
        ran.append(command)

    monkeypatch.setattr(setup, "run", run)
    setup.fill(checkout)
    assert setup.judge(checkout)[0] == "ready"
    lock, own = ran
    assert lock[-2:] == ["-r", "requirements.txt"]
    assert "--require-hashes" in lock
    assert own[-2:] == ["--editable", "."]
    assert "--no-deps" in own


def test_the_benchmark_has_an_environment_of_its_own(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []
    monkeypatch.setattr(setup, "run", lambda command, folder: ran.append((command, folder)))
    assert setup.judge(checkout, name="bench") == ("make", "there is no .venv-bench yet")
    (checkout / ".venv").rename(checkout / ".venv-bench")
    setup.fill(checkout, "bench")
    assert setup.judge(checkout, name="bench") == ("ready", "")
    assert ran[0][0][-4:] == ["-r", "requirements.txt", "-r", BENCH_LOCK]
    assert {folder for _, folder in ran} == {checkout / ".venv-bench"}
    (checkout / BENCH_LOCK).write_text("something else\n")
    assert setup.judge(checkout, name="bench") == ("update", f"changed: {BENCH_LOCK}")


def test_a_step_that_fails_leaves_the_environment_unfinished(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: list[str], _: Path) -> None:
        raise setup.SetupError("no")

    monkeypatch.setattr(setup, "run", run)
    with pytest.raises(setup.SetupError):
        setup.fill(checkout)
    assert setup.judge(checkout) == ("make", "the last run did not finish")


def test_a_failing_command_is_explained_and_logged(checkout: Path) -> None:
    (checkout / ".venv" / setup.LOG).write_text("ERROR: of an earlier step\n")
    command = [sys.executable, "-c", "import sys; print('ERROR: no such thing'); sys.exit(3)"]
    with pytest.raises(setup.SetupError, match=r"^no such thing \(all of it: .*set-up\.log\)$"):
        setup.run(command, checkout / ".venv")


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("ERROR: Could not install: [Errno 28] No space left on device", "the disk is full"),
        (
            "WARNING: Retrying after connection broken by 'NewConnectionError'\n"
            "ERROR: No matching distribution found for absl-py==2.5.1",
            "pip could not reach its package index",
        ),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM …", "try again"),
        ("ERROR: No matching distribution found for x==1", "No matching distribution found for x"),
        ("Error: ensurepip is not available", "apt install python3-venv"),
        ("killed", "exit code 9: killed"),
        ("", "exit code 9"),
    ],
)
def test_what_pip_says_is_cut_to_one_line(output: str, line: str) -> None:
    said = setup.explain(output, 9)
    assert line in said
    assert "\n" not in said


def test_too_little_room_is_said_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "SPACE", 1 << 60)
    with pytest.raises(setup.SetupError, match=r"^found .* GB free at .*, expected at least"):
        setup.make(tmp_path, python())
    assert not list(tmp_path.iterdir())


def test_an_error_is_one_line_and_a_failing_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def judge(*_: object) -> None:
        raise setup.SetupError("what is wrong")

    monkeypatch.setattr(setup, "judge", judge)
    monkeypatch.setattr(sys, "argv", ["setup.py"])
    assert setup.main() == 1
    assert capsys.readouterr().err == "set-up: what is wrong\n"


# The lock


def locked(folder: Path) -> dict[str, str]:
    """Return each package's block of text in a folder's lock, by its name."""
    text = (folder / "requirements.txt").read_text(encoding="utf-8")
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    return {block.split("==")[0]: block for block in blocks}


def named(requirement: str) -> str:
    """Return the package that a requirement names, as the lock spells it."""
    return re.split(r"[^A-Za-z0-9_.-]", requirement)[0].lower().replace("_", "-")


@pytest.mark.parametrize("folder", [ROOT, ROOT / "benchmark"], ids=["lessons", "benchmark"])
def test_the_lock_holds_every_direct_dependency_and_its_hashes(folder: Path) -> None:
    lines = (folder / "requirements.in").read_text(encoding="utf-8").splitlines()
    direct = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in direct if not line.partition("#")[2].strip()] == []  # the reasons
    packages = locked(folder)
    assert {named(line) for line in direct} <= set(packages)
    assert [name for name, block in packages.items() if "--hash=sha256:" not in block] == []


def test_both_locks_agree() -> None:
    lessons, bench = locked(ROOT), locked(ROOT / "benchmark")
    both = [name for name in bench if name in lessons]
    assert len(both) > 3
    versions = [[lock[name].split()[0] for name in both] for lock in (lessons, bench)]
    assert versions[0] == versions[1], "run `make lock`"


def test_what_the_helpers_need_is_among_the_requirements() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    requirements = (ROOT / "requirements.in").read_text(encoding="utf-8")
    for dependency in project["project"]["dependencies"]:
        assert re.search(rf"^{re.escape(dependency)}\s", requirements, re.MULTILINE), dependency


# The verbs


def make(*arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run make in the checkout, free of a make that runs these tests."""
    outer = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHON", "PORT", "ARGS", "WORKERS")
    environ = {name: value for name, value in os.environ.items() if name not in outer}
    if path is not None:
        environ["PATH"] = path
    return subprocess.run(
        [shutil.which("make"), "-C", str(ROOT), "--no-print-directory", *arguments],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


@MAKE
def test_make_alone_lists_every_verb() -> None:
    rules = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    listed = re.findall(r"^  make ([a-z]+) +\S", make().stdout, re.MULTILINE)
    assert listed == rules
    assert {"lab", "test", "notebooks", "lint", "data", "lock"} <= set(listed)


@MAKE
@pytest.mark.parametrize(
    ("verb", "command"),
    [
        ("lab", "tools/lab.py --port=8888"),
        ("test", "-m pytest --nbval -n 2 --dist loadscope"),
        ("notebooks", "tools/regenerate.py"),
        ("lint", "ruff check"),
        ("data", "data_samples/build.py"),
        ("bench", "-m benchmark.run"),
        ("lock", "pip compile"),
    ],
)
def test_each_verb_sets_up_first(verb: str, command: str) -> None:
    dry = make("-n", verb).stdout
    assert 0 <= dry.find("tools/setup.py") < dry.find(command)


@MAKE
@POSIX
def test_settings_reach_the_commands(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.symlink_to(sys.executable)
    dry = make("-n", "lab", "PORT=9999", "ARGS=--debug", f"PYTHON={mine}").stdout
    assert f"{mine} tools/setup.py --this-python" in dry
    assert re.search(r"tools/lab.py --port=9999 --debug$", dry, re.MULTILINE)


@MAKE
@POSIX
def test_no_python_at_all_gets_one_line(tmp_path: Path) -> None:
    fake(tmp_path, "python3", None)
    done = make("setup", path=str(tmp_path))
    assert done.returncode != 0
    assert done.stderr.startswith("set-up: found no Python 3 as python3 python3.13")
    done = make("setup", "PYTHON=/nowhere/python")
    assert done.returncode != 0
    assert done.stderr.startswith("set-up: found no Python 3 as /nowhere/python: install 3.11")


# JupyterLab


@pytest.fixture
def lessons(tmp_path: Path) -> Path:
    (tmp_path / "notebooks").mkdir()
    for name in ("template.ipynb", "01_second.ipynb", "00_first.ipynb"):
        (tmp_path / "notebooks" / name).touch()
    return tmp_path


def test_the_first_lesson_opens_on_this_machine_only_and_behind_a_token(lessons: Path) -> None:
    given = lab.arguments(lessons, "secret", browser=True, asked=[])
    assert "--ip=127.0.0.1" in given
    assert "--IdentityProvider.token=secret" in given
    assert "--LabApp.default_url=/lab/tree/notebooks/00_first.ipynb" in given
    assert "--no-browser" not in given
    assert "--no-browser" in lab.arguments(lessons, "secret", browser=False, asked=[])


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="there is no root here")
@pytest.mark.parametrize(("user", "allowed"), [(0, True), (1000, False)])
def test_root_is_allowed_only_where_it_is_root(
    lessons: Path, monkeypatch: pytest.MonkeyPatch, user: int, allowed: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert ("--allow-root" in lab.arguments(lessons, "secret", True, [])) == allowed


def test_an_argument_of_the_users_takes_the_place_of_ours(lessons: Path) -> None:
    given = lab.arguments(lessons, "secret", True, ["--ip=127.0.0.2"])
    assert [argument for argument in given if argument.startswith("--ip")] == ["--ip=127.0.0.2"]


def test_without_lessons_there_is_nothing_to_open(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"found no lesson in .*notebooks"):
        lab.first_lesson(tmp_path)


@pytest.mark.parametrize(
    ("environ", "platform", "screen"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({}, "darwin", True),
        ({"SSH_CONNECTION": "somewhere"}, "darwin", False),
        ({}, "win32", True),
    ],
)
def test_a_browser_is_opened_where_it_would_be_seen(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], platform: str, screen: bool
) -> None:
    monkeypatch.setattr(lab.webbrowser, "get", lambda: None)
    assert lab.has_screen(environ, platform) == screen


def test_where_there_is_no_browser_none_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def get() -> None:
        raise lab.webbrowser.Error

    monkeypatch.setattr(lab.webbrowser, "get", get)
    assert not lab.has_screen({}, "win32")
