"""Make .venv and install in it everything that the lessons need, at most once.

`make` runs this before each verb; without make: ``python tools/setup.py``. It needs nothing but
Python: pip fetches uv, and uv does the rest, from pip's index and by the hashes of
requirements.txt. Where uv cannot, pip does. (``--environment bench`` makes .venv-bench in the same
way, with what the benchmark needs as well; ``--environment site`` makes .venv-site, which holds
what the site is built with and nothing else.)

The last thing written is a stamp: which files, which Python and which place the environment was
made for. While it holds, a run ends at once. Where files changed, what is new is installed on top;
where the last run was cut short, or the folder or its Python moved, .venv is made again.

Pythons too old for the lessons must be able to read this file, so that it can tell them so:
its syntax is Python 3.6's.
"""

import argparse
import ast
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ("3.11", "3.12", "3.13")
MACHINES = ("Linux x86_64", "Linux aarch64", "Darwin arm64", "Windows AMD64")  # TensorFlow's builds
ENVIRONMENTS = {  # name: folder, and the locks of what is installed in it
    "lessons": (".venv", ["requirements.txt"]),
    "bench": (".venv-bench", ["requirements.txt", "benchmark/requirements.txt"]),
    "site": (".venv-site", ["tools/site/requirements.txt"]),
}
SPACE = 4 * 1024**3  # bytes: .venv takes three quarters of it
STAMP, LOG = "set-up.json", "set-up.log"

# Variables that would lead pip, or Python, out of the environment.
STRAYS = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIRE_HASHES", "PYTHONHOME")

# Settings of pip's, and the variables that say the same to uv.
SETTINGS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
}

# What a failing step prints, and what that means.
CAUSES = {
    r"No space left|rr(no|or) 28|not enough space": "the disk is full: an environment needs 4 GB",
    r"DO NOT MATCH THE HASHES|[Hh]ash mismatch": "a package is not the one of requirements.txt",
    r"ensurepip": "this Python's venv is incomplete: on Debian, apt install python3-venv",
    r"Connect|NameResolution|Time|timed out|Proxy|SSL|retries|Network|Could not fetch": "could not "
    "reach the package index: check the network or the proxy, try again",
}

# JupyterLab asks whether it may fetch news, looks for newer versions of itself, lists extensions
# off the network, and asks npm for language servers; a lesson needs none of it. These files are
# read because they lie inside the environment: nothing of the user's own is touched.
UPDATES = "jupyterlab.handlers.announcements.NeverCheckForUpdate"
LAB = {"news_url": None, "extension_manager": "readonly", "check_for_updates_class": UPDATES}
NEWS = {"fetchNews": "false", "checkForUpdates": False}
JUPYTER: Dict[str, Any] = {
    "jupyter_lab_config": {"LabApp": LAB},
    "jupyter_server_config": {"LanguageServerManager": {"autodetect": False}},
    "labconfig/default_setting_overrides": {"@jupyterlab/apputils-extension:notification": NEWS},
}


class SetupError(Exception):
    """What is wrong, and what to do about it, in one line."""


def say(line: str, end: str = "\n") -> None:
    """Print one line about the set-up, at once."""
    print("set-up: " + line, end=end, flush=True)


def objection(version: str, machine: str) -> str:
    """Say in one line why a Python cannot run the lessons; nothing where it can."""
    found = "found Python {} on {}, expected ".format(version, machine)
    if version.rpartition(".")[0] not in PYTHONS:
        return found + "3.11, 3.12 or 3.13: install one, or set PYTHON=/path/to/python"
    if machine not in MACHINES:
        return found + "one that TensorFlow has a build for: " + ", ".join(MACHINES)
    return ""


def place(root: Path, name: str) -> Tuple[Path, List[str], str]:
    """Return an environment's folder, the locks of what goes into it, and its own Python."""
    folder, locks = ENVIRONMENTS[name]
    python = "Scripts/python.exe" if os.name == "nt" else "bin/python"
    return root / folder, locks, str(root / folder / python)


def version_of(python: str) -> str:
    """Return a Python's version; nothing where it does not run."""
    code = "import platform; print(platform.python_version())"
    try:
        return subprocess.check_output([python, "-I", "-c", code], timeout=60).decode().strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def stamp_of(root: Path, name: str, version: str) -> Dict[str, str]:
    """Describe what an environment is made for; any difference means that it is out of date."""
    venv, locks, _ = place(root, name)
    inputs = [*locks, "pyproject.toml", "tools/setup.py"]
    marks = {path: hashlib.sha256((root / path).read_bytes()).hexdigest() for path in inputs}
    return {"place": str(venv), "python": version, **marks}


def judge(root: Path, name: str = "lessons", asked: str = "") -> Tuple[str, str]:
    """Say what is to be done about an environment, "ready", "update" or "make", and why.

    `asked` is the version of the Python that was asked for by name; without it, the one inside is
    kept.
    """
    venv, _, python = place(root, name)
    if not venv.exists() and not venv.is_symlink():
        return "make", "there is no {} yet".format(venv.name)
    inside = version_of(python)
    try:
        stamp = json.loads((venv / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        if (venv / LOG).exists() or not list(venv.iterdir()):
            return "make", "the last run did not finish"
        if objection(inside, MACHINES[0]):
            raise SetupError("{} is in the way: move it or delete it".format(venv)) from None
        return "update", venv.name + " was made by hand"
    if not stamp:
        return "make", "the last run did not finish"
    if not inside:
        return "make", "the Python in {} does not run any more".format(venv.name)
    marks = stamp_of(root, name, asked or inside)
    changed = [what for what, mark in marks.items() if stamp.get(what) != mark]
    again = "place" in changed or "python" in changed
    return "make" if again else "update" if changed else "ready", "changed: " + ", ".join(changed)


def run(what: str, command: List[str], venv: Path, **variables: str) -> None:
    """Run one step, say how long it takes, and add its output to the log; raise if it fails."""
    environ = {key: value for key, value in os.environ.items() if key not in STRAYS}
    environ.update(PIP_USER="0", PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1")
    begin, log = time.monotonic(), venv / LOG
    with log.open("ab") as out:
        before = out.tell()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            cwd=str(venv.parent), env={**variables, **environ},  # the user's own UV_… win
        )  # fmt: skip
        while process.poll() is None:
            time.sleep(0.1)
            if sys.stdout.isatty():
                say("{} … {:.0f} s".format(what, time.monotonic() - begin), end="\r")
    say("{} … {:.0f} s".format(what, time.monotonic() - begin))
    if process.returncode:
        output = log.read_bytes()[before:].decode(errors="replace")
        raise SetupError("{} (all of it: {})".format(explain(output, process.returncode), log))


def explain(output: str, code: int) -> str:
    """Say in one line why pip, uv or venv failed, from all that it printed and its exit code."""
    for pattern, line in CAUSES.items():
        if re.search(pattern, output):
            return line
    errors = re.findall(r"^ *(?:ERROR|error|[A-Za-z]*Error): *(.+)$", output, flags=re.MULTILINE)
    last = output.strip().splitlines()[-1:]
    return errors[-1] if errors else ": ".join(["exit code {}".format(code), *last])


def uv_variables(pip_config: str) -> Dict[str, str]:
    """Return the variables that tell uv what ``pip config list`` says; pip's own precedence."""
    found = {}
    for part in ("global.", "install.", ":env:."):
        for line in pip_config.splitlines():
            key, _, value = line.partition("=")
            variable = SETTINGS.get(key[len(part) :]) if key.startswith(part) else None
            if variable:
                separator = "," if variable == "UV_FIND_LINKS" else " "
                found[variable] = separator.join(ast.literal_eval(value).split())
    return found


def make(root: Path, name: str = "lessons") -> None:
    """Make an empty environment in the place of what is there, marked as unfinished."""
    venv, _, _ = place(root, name)
    free = shutil.disk_usage(str(root)).free
    if free < SPACE:
        raise SetupError("found {:.1f} GB free, expected at least 4".format(free / 1024**3))
    if venv.is_symlink():
        venv.unlink()
    elif venv.exists():
        shutil.rmtree(str(venv))
    venv.mkdir()
    (venv / STAMP).write_text("{}")
    what = "making {} with Python {}".format(venv.name, platform.python_version())
    base = getattr(sys, "_base_executable", sys.executable)  # should this one be in the old .venv
    run(what, [base, "-I", "-m", "venv", str(venv)], venv)


def fill(root: Path, name: str = "lessons") -> None:
    """Install what the locks name, and the helpers, in an environment; then stamp it."""
    venv, locks, python = place(root, name)
    (venv / STAMP).write_text("{}")
    # -I: no PYTHON… variable of the user's reaches these.
    pip = [python, "-I", "-m", "pip"]
    uv = [python, "-I", "-m", "uv", "pip", "install", "--python", python]
    hashed = ["--require-hashes", "--only-binary=:all:"]
    wanted = [part for lock in locks for part in ("-r", lock)]
    lock = "\n".join((root / lock).read_text(encoding="utf-8") for lock in locks)
    only_uv = "".join(re.findall(r"^uv==.*\n(?: .*\n)*", lock, re.MULTILINE)[:1])
    (venv / "uv.txt").write_text(only_uv, encoding="utf-8")
    run("fetching uv", [*pip, "install", *hashed, "-r", str(venv / "uv.txt")], venv)
    config = subprocess.run([*pip, "config", "list"], stdout=subprocess.PIPE, check=False).stdout
    count = len(set(re.findall(r"^[^ #=]+==", lock, re.MULTILINE)))
    what = "installing {} packages, a minute or more the first time".format(count)
    # All indexes count alike, as for pip: the hashes say which file is the right one.
    best = ["--index-strategy", "unsafe-best-match", "--compile-bytecode"]
    try:
        run(what, [*uv, *best, *hashed, *wanted], venv, **uv_variables(config.decode()))
    except SetupError as error:
        say("uv: {}; pip tries in its place".format(error))
        run(what, [*pip, "install", "--compile", *hashed, *wanted], venv)
    own = ["--offline", "--no-deps", "--no-build-isolation", "--editable", "."]
    run("installing the helpers from this checkout", [*uv, *own], venv)
    for file, content in JUPYTER.items():
        path = venv / "etc" / "jupyter" / (file + ".json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1), encoding="utf-8")
    new = venv / (STAMP + ".new")  # in one step: it is never seen half written
    new.write_text(json.dumps(stamp_of(root, name, version_of(python))), encoding="utf-8")
    new.replace(venv / STAMP)


def main() -> int:
    """Do what is to be done, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--this-python", action="store_true", help="also where .venv has another")
    parser.add_argument("--environment", choices=sorted(ENVIRONMENTS), default="lessons")
    options = parser.parse_args()
    name, version, begin = options.environment, platform.python_version(), time.monotonic()
    try:
        verdict, why = judge(ROOT, name, version if options.this_python else "")
        if verdict != "ready":
            say(why)
            wrong = objection(version, platform.system() + " " + platform.machine())
            if verdict == "make" and wrong:
                raise SetupError(wrong)
            if verdict == "make":
                make(ROOT, name)
            fill(ROOT, name)
            say("ready after {:.0f} s".format(time.monotonic() - begin))
        return 0
    except (SetupError, OSError) as error:
        print("set-up: {}".format(error), file=sys.stderr)
    except KeyboardInterrupt:
        print("\nset-up: stopped; the next run begins again", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
