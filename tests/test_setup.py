"""What tools/setup.py decides, the verbs of the Makefile, and how JupyterLab is started.

Nothing here installs anything: environments are empty ones, and pip is never run.
"""

import ast
import importlib.util
import itertools
import json
import logging
import os
import platform
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from jupyter_server.base.websocket import WebSocketMixin
from packaging.requirements import Requirement

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


LOCKS = {"bench": "benchmark/requirements.txt", "site": "tools/site/requirements.txt"}
INPUTS = ("requirements.txt", "pyproject.toml", "tools/setup.py")
setup = load("setup")
lab = load("lab")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Make a folder with what the stamp looks at, and an environment that is ready."""
    root = tmp_path / "checkout"
    for folder in ("tools/site", "benchmark"):
        (root / folder).mkdir(parents=True)
    for name in (*INPUTS, *LOCKS.values()):
        (root / name).write_text(f"stands for {name}\n")
    venv.create(root / ".venv", symlinks=os.name != "nt")
    write_stamp(root, setup.stamp_of(root, "lessons", platform.python_version()))
    return root


def write_stamp(root: Path, stamp: dict[str, str]) -> None:
    (root / ".venv" / setup.STAMP).write_text(json.dumps(stamp))


# Which Python


def test_old_pythons_can_read_the_set_up() -> None:
    source = (ROOT / "tools" / "setup.py").read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 6))


@pytest.mark.parametrize("version", ["3.11.0", "3.12.1", "3.13.0rc1"])
def test_a_python_that_the_lessons_run_on_is_taken(version: str) -> None:
    assert setup.objection(version, "Linux x86_64") == ""


@pytest.mark.parametrize(
    ("version", "machine", "line"),
    [
        (
            "3.10.13",
            "Linux x86_64",
            "found Python 3.10.13 on Linux x86_64, expected 3.11, 3.12 or 3.13: install one, "
            "or set PYTHON=/path/to/python",
        ),
        ("3.14.0", "Linux x86_64", "expected 3.11, 3.12 or 3.13"),
        ("2.7.18", "Linux x86_64", "expected 3.11, 3.12 or 3.13"),
        ("3.12.1", "Darwin x86_64", "on Darwin x86_64, expected one that TensorFlow has a build"),
        ("3.12.1", "Windows ARM64", "on Windows ARM64"),
    ],
)
def test_another_python_gets_one_line(version: str, machine: str, line: str) -> None:
    said = setup.objection(version, machine)
    assert line in said
    assert "\n" not in said


def test_nothing_is_made_with_another_python(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    monkeypatch.setattr(setup.platform, "python_version", lambda: "3.9.1")
    monkeypatch.setattr(sys, "argv", ["setup.py"])
    assert setup.main() == 1
    assert capsys.readouterr().err.startswith("set-up: found Python 3.9.1 on ")
    assert not list(tmp_path.iterdir())


# What is to be done


def test_a_second_run_has_nothing_to_do(checkout: Path) -> None:
    assert setup.judge(checkout)[0] == "ready"


def test_a_new_checkout_gets_an_environment(tmp_path: Path) -> None:
    assert setup.judge(tmp_path) == ("make", "there is no .venv yet")


@pytest.mark.parametrize("name", INPUTS)
def test_a_changed_file_is_noticed(checkout: Path, name: str) -> None:
    (checkout / name).write_text("something else\n")
    assert setup.judge(checkout) == ("update", f"changed: {name}")


def test_a_run_that_was_cut_short_is_begun_again(checkout: Path) -> None:
    write_stamp(checkout, {})
    assert setup.judge(checkout) == ("make", "the last run did not finish")


def test_a_run_that_was_cut_short_before_anything_was_written(tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    assert setup.judge(tmp_path)[0] == "make"


def test_a_moved_environment_is_made_again(checkout: Path) -> None:
    assert setup.judge(checkout.rename(checkout.with_name("elsewhere"))) == (
        "make",
        "changed: place",
    )


def test_an_environment_whose_python_is_gone_is_made_again(checkout: Path) -> None:
    Path(setup.place(checkout, "lessons")[2]).unlink()
    verdict, why = setup.judge(checkout)
    assert verdict == "make"
    assert "does not run" in why


def test_an_environment_whose_python_was_replaced_is_made_again(checkout: Path) -> None:
    write_stamp(checkout, setup.stamp_of(checkout, "lessons", "3.11.0"))
    assert setup.judge(checkout) == ("make", "changed: python")


def test_another_python_that_is_asked_for_by_name_is_noticed(checkout: Path) -> None:
    assert setup.judge(checkout, asked=platform.python_version())[0] == "ready"
    assert setup.judge(checkout, asked="3.13.99")[0] == "make"


def test_an_environment_made_by_hand_is_kept_and_filled(checkout: Path) -> None:
    (checkout / ".venv" / setup.STAMP).unlink()
    assert setup.judge(checkout) == ("update", ".venv was made by hand")


def test_a_folder_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "mine.txt").write_text("do not delete")
    with pytest.raises(setup.SetupError, match=r"\.venv is in the way"):
        setup.judge(tmp_path)


# How it is done


@pytest.fixture
def ran(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Collect the commands in place of running them."""
    commands = []

    def run(what: str, command: list[str], venv: Path, **variables: str) -> None:
        if venv.name == ".venv":  # as it would be if the machine stopped now
            assert setup.judge(checkout) == ("make", "the last run did not finish")
        commands.append([*command, venv.name])
        if "unsafe-best-match" in command and not (checkout / "uv works").exists():
            raise setup.SetupError("no index")

    monkeypatch.setattr(setup, "run", run)
    (checkout / "uv works").touch()
    (checkout / "requirements.txt").write_text(
        "a==1 \\\n    --hash=x\nuv==1 \\\n    --hash=y\nz==1\n"
    )
    return commands


def test_the_stamp_is_written_last(checkout: Path, ran: list[list[str]]) -> None:
    setup.fill(checkout)
    assert setup.judge(checkout)[0] == "ready"
    fetch, install, own = ran
    assert (checkout / ".venv" / "uv.txt").read_text() == "uv==1 \\\n    --hash=y\n"
    assert {"--require-hashes", str(checkout / ".venv" / "uv.txt")} <= set(fetch)
    assert {"uv", "--require-hashes", "--compile-bytecode", "requirements.txt"} <= set(install)
    assert {"--editable", ".", "--no-deps", "--offline"} <= set(own)


def test_where_uv_cannot_pip_does(
    checkout: Path, ran: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / "uv works").unlink()
    setup.fill(checkout)
    assert setup.judge(checkout)[0] == "ready"
    assert "set-up: uv: no index; pip tries in its place\n" in capsys.readouterr().out
    assert "uv" not in ran[2]
    assert {"pip", "--require-hashes", "requirements.txt"} <= set(ran[2])


@pytest.mark.parametrize(("name", "locks"), [("bench", [INPUTS[0], LOCKS["bench"]]),
                                             ("site", [LOCKS["site"]])])  # fmt: skip
def test_benchmark_and_site_have_environments_of_their_own(
    checkout: Path, ran: list[list[str]], name: str, locks: list[str]
) -> None:
    folder = f".venv-{name}"
    assert setup.judge(checkout, name) == ("make", f"there is no {folder} yet")
    (checkout / ".venv").rename(checkout / folder)
    setup.fill(checkout, name)
    assert setup.judge(checkout, name)[0] == "ready"
    command = ran[1]
    assert [file for flag, file in itertools.pairwise(command) if flag == "-r"] == locks
    assert {command[-1] for command in ran} == {folder}
    (checkout / LOCKS[name]).write_text("something else\n")
    assert setup.judge(checkout, name) == ("update", f"changed: {LOCKS[name]}")


def test_uv_is_told_what_pip_knows() -> None:
    told = setup.uv_variables(
        "global.index-url='https://one.example/simple'\n"
        "install.index-url='https://two.example/simple'\n"
        "global.extra-index-url='\\nhttps://three.example/simple\\nhttps://four.example/simple'\n"
        ":env:.find-links='one two'\n"
        ":env:.disable-pip-version-check='1'\n"
        "download.index-url='https://five.example/simple'\n"
        "global.trusted-host='three.example'\n"
        "a line of another kind\n"
    )
    assert told == {
        "UV_DEFAULT_INDEX": "https://two.example/simple",
        "UV_INDEX": "https://three.example/simple https://four.example/simple",
        "UV_FIND_LINKS": "one,two",
        "UV_INSECURE_HOST": "three.example",
    }


def test_variables_that_lead_out_of_the_environment_reach_no_step(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_TARGET", "elsewhere")
    monkeypatch.setenv("UV_INDEX", "the user's own")
    code = "import os; print(os.environ.get('PIP_TARGET'), os.environ['UV_INDEX'])"
    setup.run("step", [sys.executable, "-c", code], checkout / ".venv", UV_INDEX="pip's")
    assert (checkout / ".venv" / setup.LOG).read_text() == "None the user's own\n"


def test_a_step_that_fails_leaves_the_environment_unfinished(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: object, **__: str) -> None:
        raise setup.SetupError("no")

    monkeypatch.setattr(setup, "run", run)
    with pytest.raises(setup.SetupError):
        setup.fill(checkout)
    assert setup.judge(checkout) == ("make", "the last run did not finish")


def test_a_failing_command_is_explained_and_logged(checkout: Path) -> None:
    (checkout / ".venv" / setup.LOG).write_text("ERROR: of an earlier step\n")
    command = [sys.executable, "-c", "import sys; print('ERROR: no such thing'); sys.exit(3)"]
    with pytest.raises(setup.SetupError, match=r"^no such thing \(all of it: .*set-up\.log\)$"):
        setup.run("step", command, checkout / ".venv")


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("ERROR: Could not install: [Errno 28] No space left on device", "the disk is full"),
        (
            "WARNING: Retrying after connection broken by 'NewConnectionError'\n"
            "ERROR: No matching distribution found for absl-py==2.5.1",
            "could not reach the package index",
        ),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM …", "not the one of requirements.txt"),
        ("ERROR: No matching distribution found for x==1", "No matching distribution found for x"),
        ("Error: ensurepip is not available", "apt install python3-venv"),
        ("error: Failed to fetch: `x`\n  Caused by: Connection refused", "could not reach the"),
        ("killed", "exit code 9: killed"),
        ("", "exit code 9"),
    ],
)
def test_what_a_step_says_is_cut_to_one_line(output: str, line: str) -> None:
    said = setup.explain(output, 9)
    assert line in said
    assert "\n" not in said


def test_too_little_room_is_said_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "SPACE", 1 << 60)
    with pytest.raises(setup.SetupError, match=r"^found .* GB free, expected at least"):
        setup.make(tmp_path)
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


FOLDERS = [ROOT, *((ROOT / lock).parent for lock in LOCKS.values())]


def named(requirement: str) -> str:
    """Return the package that a requirement names, as the lock spells it."""
    return re.split(r"[^A-Za-z0-9_.-]", requirement)[0].lower().replace("_", "-")


@pytest.mark.parametrize("folder", FOLDERS, ids=["lessons", *LOCKS])
def test_the_lock_holds_every_direct_dependency_and_its_hashes(folder: Path) -> None:
    lines = (folder / "requirements.in").read_text(encoding="utf-8").splitlines()
    direct = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in direct if not line.partition("#")[2].strip()] == []  # the reasons
    packages = locked(folder)
    assert {named(line) for line in direct} <= set(packages)
    assert [name for name, block in packages.items() if "--hash=sha256:" not in block] == []


@pytest.mark.parametrize("folder", FOLDERS[1:], ids=LOCKS)
def test_the_locks_agree(folder: Path) -> None:
    lessons, other = locked(ROOT), locked(folder)
    both = [name for name in other if name in lessons]
    assert len(both) > 3
    versions = [[lock[name].split()[0] for name in both] for lock in (lessons, other)]
    assert versions[0] == versions[1], "run `make lock`"


def test_what_the_helpers_need_is_among_the_requirements() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    requirements = (ROOT / "requirements.in").read_text(encoding="utf-8")
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    locked = dict(re.findall(r"^([\w.-]+)==([\w.]+)", lock, re.MULTILINE))
    for dependency in map(Requirement, project["project"]["dependencies"]):
        assert re.search(rf"^{dependency.name}\b", requirements, re.MULTILINE), dependency
        assert dependency.specifier.contains(locked[dependency.name]), dependency


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
        ("site", "tools/site/build.py"),
        ("bench", "-m benchmark.run"),
        ("feeding", "-m feeding.run"),
        ("lock", "pip compile"),
    ],
)
def test_each_verb_sets_up_first(verb: str, command: str) -> None:
    dry = make("-n", verb).stdout
    assert 0 <= dry.find("tools/setup.py") < dry.find(command)


@pytest.fixture
def fake(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write commands that stand for Pythons: one that runs, or one that fails as a shim may."""

    def write(name: str, does: str) -> Path:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{does}\n")
        path.chmod(0o755)
        return path

    return write


@MAKE
@POSIX
def test_the_first_python_that_will_do_is_found(
    fake: Callable[[str, str], Path], tmp_path: Path
) -> None:
    fake("python3", "exit 1")  # too old, or without venv
    fake("python3.13", "exit 127")
    fake("python3.12", f'exec "{sys.executable}" "$@"')
    fake("python3.11", f'exec "{sys.executable}" "$@"')
    assert '"python3.12" tools/setup.py ' in make("-n", "setup", path=str(tmp_path)).stdout


@POSIX
@pytest.mark.parametrize(
    ("version", "missing", "fits"),
    [("(3, 11)", "", True), ("(3, 13)", "", True), ("(3, 10)", "", False), ("(3, 14)", "", False),
     ("(3, 12)", "ensurepip", False)],
)  # fmt: skip
def test_what_the_makefile_asks_of_a_python(version: str, missing: str, fits: bool) -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    asked = re.search(r"^FITS := (.*)$", text, re.MULTILINE)[1]
    before = f"import sys; sys.version_info = {version}; sys.modules[{missing!r}] = None; "
    done = subprocess.run([sys.executable, "-c", before + asked], capture_output=True, check=False)
    assert (done.returncode == 0) == fits


@MAKE
@POSIX
def test_settings_reach_the_commands(fake: Callable[[str, str], Path]) -> None:
    mine = fake("mine", f'exec "{sys.executable}" "$@"')
    dry = make("-n", "lab", "PORT=9999", "ARGS=--debug", f"PYTHON={mine}").stdout
    assert f'"{mine}" tools/setup.py --this-python' in dry
    assert re.search(r"tools/lab.py --port=9999 --debug$", dry, re.MULTILINE)


@MAKE
@POSIX
def test_no_python_at_all_gets_one_line(fake: Callable[[str, str], Path]) -> None:
    done = make("setup", f"PYTHON={fake('python3', 'exit 127')}")
    assert done.returncode != 0
    assert done.stderr.startswith("set-up: found no Python 3.11, 3.12 or 3.13 with venv as /")
    assert done.stderr.count("\n") == 2  # make says that it failed


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


def test_the_server_closes_no_connection_that_lives(lessons: Path) -> None:
    """It closes one whose last pong is older than the timeout, and looks at each interval."""
    name = "--ServerApp.tornado_settings="
    given = lab.arguments(lessons, "secret", browser=True, asked=[])
    (settings,) = (text.removeprefix(name) for text in given if text.startswith(name))
    connection = WebSocketMixin()
    connection.settings = ast.literal_eval(settings)
    interval, timeout = connection.ping_interval, connection.ping_timeout
    assert interval == 0 or timeout > 1.5 * interval


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
    ("message", "about", "news"),
    [
        ("Notebook %s is not trusted", "notebooks/00_first.ipynb", False),
        ("Notebook %s is not trusted", "downloads/other.ipynb", True),
        ("%s doesn't exist", "/somewhere/notebooks/.~00_first.ipynb", False),
        ("%s doesn't exist", "/somewhere/notebooks/00_first.ipynb", True),
        ("Kernel died: %s", "notebooks/.~00_first.ipynb", True),
    ],
)
def test_messages_that_say_nothing_are_left_out(message: str, about: str, news: bool) -> None:
    record = logging.LogRecord("server", logging.WARNING, "", 0, message, (about,), None)
    assert lab.is_news(record) == news


def test_of_a_widget_its_image_is_saved() -> None:
    alone, beside = {lab.WIDGET: {}, "text/plain": ""}, {lab.WIDGET: {}, "image/png": "", "x": ""}
    outputs = [{"data": alone}, {"data": beside}, {"name": "stdout", "text": "1"}]
    cells = [{"cell_type": "markdown"}, {"cell_type": "code", "outputs": outputs}]
    lab.keep_images(model={"type": "notebook", "content": {"cells": cells}}, path="a.ipynb")
    assert set(alone) == {lab.WIDGET, "text/plain"}
    assert set(beside) == {"image/png", "x"}
    lab.keep_images(model={"type": "file", "content": "text"}, path="a.txt")


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
