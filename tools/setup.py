"""Make .venv and install in it everything that the lessons need, at most once.

`make` runs this before each verb; without make, run it by hand: ``python tools/setup.py``.
It needs nothing but Python, and says what it does in a line each. What it leaves behind is all
inside .venv: delete that folder and nothing is left. (``--environment bench`` makes .venv-bench
in the same way, with what the benchmark needs as well.)

The last thing written is a stamp: which files, which Python and which place the environment was
made for. While the stamp holds, a run ends at once. Where it does not:

- requirements.txt, pyproject.toml or this file changed: what is new is installed on top;
- the last run was cut short, or the folder or its Python moved: .venv is made anew.

Pythons too old for the lessons must be able to read this file, so that it can tell them so:
its syntax is Python 3.6's.
"""

import argparse
import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ((3, 11), (3, 12), (3, 13))
CANDIDATES = ("python3.13", "python3.12", "python3.11", "python3", "python")
MACHINES = (  # those that TensorFlow has builds for
    ("Linux", "x86_64"),
    ("Linux", "aarch64"),
    ("Darwin", "arm64"),
    ("Windows", "AMD64"),
)
ENVIRONMENTS = {  # name: folder, and the locks of what is installed in it
    "lessons": (".venv", ("requirements.txt",)),
    "bench": (".venv-bench", ("requirements.txt", "benchmark/requirements.txt")),
}
OTHER_INPUTS = ("pyproject.toml", "tools/setup.py")
INPUTS = ENVIRONMENTS["lessons"][1] + OTHER_INPUTS
SPACE = 4 * 1024**3  # bytes: .venv takes three quarters of it, pip the rest while it works
STAMP = "set-up.json"
LOG = "set-up.log"
UNFINISHED = {"unfinished": "yes"}

# JupyterLab asks once whether it may fetch news, looks for newer versions of itself, lists
# extensions off the network, and asks npm for language servers; a lesson needs none of it. These
# files are read because they lie inside the environment: nothing of the user's own is touched.
JUPYTER = {
    "etc/jupyter/jupyter_lab_config.json": {
        "LabApp": {
            "news_url": None,
            "extension_manager": "readonly",
            "check_for_updates_class": "jupyterlab.handlers.announcements.NeverCheckForUpdate",
        }
    },
    "etc/jupyter/jupyter_server_config.json": {"LanguageServerManager": {"autodetect": False}},
    "etc/jupyter/labconfig/default_setting_overrides.json": {
        "@jupyterlab/apputils-extension:notification": {
            "fetchNews": "false",
            "checkForUpdates": False,
        }
    },
}

# Run by each Python that might do.
PROBE = """
import json, platform, sys
found = {"path": getattr(sys, "_base_executable", None) or sys.executable,
         "version": platform.python_version(), "machine": platform.machine(),
         "bits": 64 if sys.maxsize > 2**32 else 32}
try:
    import venv, ensurepip
    found["venv"] = bool(ensurepip.version())
except (ImportError, AttributeError):  # Debian keeps both in a package of their own
    found["venv"] = False
print(json.dumps(found))
"""


class SetupError(Exception):
    """What is wrong, and what to do about it, in one line."""


class Python(NamedTuple):
    """A Python that runs: where it is, which it is, and whether it can make environments."""

    path: str
    version: str
    machine: str
    bits: int
    venv: bool

    @property
    def fits(self) -> bool:
        """Whether it is one of those that the lessons run on."""
        return tuple(int(part) for part in self.version.split(".")[:2]) in PYTHONS


def say(line: str) -> None:
    """Print one line about the set-up, at once."""
    print("set-up: " + line, flush=True)


# Which Python


def probe(command: List[str]) -> Optional[Python]:
    """Ask a Python what it is; None where it does not run (a version manager's empty shim, say)."""
    try:
        answer = subprocess.run(
            [*command, "-I", "-c", PROBE],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=True,
        )
        return Python(**json.loads(answer.stdout.decode()))
    except (OSError, ValueError, TypeError, subprocess.SubprocessError):
        return None


def candidates() -> Iterator[List[str]]:
    """Yield the commands that may be a fitting Python, best first."""
    for name in CANDIDATES:
        path = shutil.which(name)
        if path:
            yield [path]
    launcher = shutil.which("py")  # Windows
    if launcher:
        for version in reversed(PYTHONS):
            yield [launcher, "-{}.{}".format(*version)]


def objection(python: Python, system: str = "") -> Optional[str]:
    """Say in one line why this Python cannot be used, or None where it can.

    Parameters
    ----------
    python : Python
        The one in question.
    system : str, optional
        What `platform.system()` says; asked where it is not given.
    """
    found = "found Python {} at {}".format(python.version, python.path)
    system = system or platform.system()
    if not python.fits:
        return found + ", expected 3.11, 3.12 or 3.13: install one, or set PYTHON=/path/to/python"
    if not python.venv:
        return (
            found + " without venv: install it (on Debian and Ubuntu: apt install python3-venv), "
            "or set PYTHON=/path/to/another/python"
        )
    if (system, python.machine) not in MACHINES or python.bits != 64:
        return "{} on {} {}, {} bits, expected one that TensorFlow has a build for: {}".format(
            found, system, python.machine, python.bits, ", ".join(map(" ".join, MACHINES))
        )
    return None


def choose(only_this: bool) -> Python:
    """Take the Python that runs this file, or else the first on the path that will do.

    Parameters
    ----------
    only_this : bool
        Look no further than the one that runs this file: it was asked for by name.

    Raises
    ------
    SetupError
        None will do.
    """
    this = probe([sys.executable])
    if this is None:
        raise SetupError("the Python at {} cannot be run again".format(sys.executable))
    why_not = objection(this)
    if why_not is None:
        return this
    if not only_this:
        for command in candidates():
            other = probe(command)
            if other is not None and objection(other) is None:
                say(why_not.split(":")[0] + "; looked on")
                return other
    raise SetupError(why_not)


# What is there already


def venv_python(venv: Path) -> Path:
    """Return the path of an environment's own Python."""
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def fingerprint(root: Path, python: Python, name: str = "lessons") -> Dict[str, str]:
    """Describe what an environment is made for; any difference means that it is out of date."""
    folder, locks = ENVIRONMENTS[name]
    inputs = locks + OTHER_INPUTS
    marks = {path: hashlib.sha256((root / path).read_bytes()).hexdigest() for path in inputs}
    marks.update(place=str(root / folder), python=python.version, home=python.path)
    return marks


def read_stamp(venv: Path) -> Optional[Dict[str, str]]:
    """Return the stamp that the last run left, or None where there is none to be read."""
    try:
        stamp = json.loads((venv / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return stamp if isinstance(stamp, dict) else None


def write_stamp(venv: Path, stamp: Dict[str, str]) -> None:
    """Put a stamp in its place in one step, so that it is never seen half written."""
    new = venv / (STAMP + ".new")
    new.write_text(json.dumps(stamp, indent=1), encoding="utf-8")
    new.replace(venv / STAMP)


def judge(root: Path, wanted: Optional[Python] = None, name: str = "lessons") -> Tuple[str, str]:
    """Say what is to be done about the environment.

    Parameters
    ----------
    root : Path
        The checkout.
    wanted : Python, optional
        The Python that was asked for by name; without it, the one that is in the environment is
        kept if it fits.
    name : str
        The environment, as in `ENVIRONMENTS`.

    Returns
    -------
    verdict : {"ready", "update", "make"}
        Nothing to do; install on top; begin with an empty folder.
    why : str
        The reason, in a few words.

    Raises
    ------
    SetupError
        Its folder is something that this file did not make and that cannot be used.
    """
    folder = ENVIRONMENTS[name][0]
    venv = root / folder
    if not venv.exists() and not venv.is_symlink():
        return "make", "there is no {} yet".format(folder)
    stamp = read_stamp(venv)
    inside = probe([str(venv_python(venv))])
    if stamp is None:
        if inside is not None and inside.fits and inside.version == (wanted or inside).version:
            return "update", folder + " was made by hand"
        if (venv / LOG).exists() or (venv.is_dir() and not any(venv.iterdir())):
            return "make", "the last run did not finish"
        raise SetupError("{} is in the way: move it or delete it".format(venv))
    if "unfinished" in stamp:
        return "make", "the last run did not finish"
    if stamp.get("place") != str(venv):
        return "make", "{} was moved here from {}".format(folder, stamp.get("place"))
    if inside is None:
        return "make", "the Python in {} does not run any more".format(folder)
    if inside.version != stamp.get("python"):
        return "make", "{} was made with Python {}, now {}".format(
            folder, stamp.get("python"), inside.version
        )
    if wanted is not None and wanted.version != inside.version:
        return "make", "PYTHON is {}, {} has {}".format(wanted.version, folder, inside.version)
    marks = fingerprint(root, inside, name)
    changed = [path for path, mark in marks.items() if stamp.get(path) != mark]
    if changed:
        return "update", "changed: " + ", ".join(changed)
    return "ready", ""


# How it is made


def own_environment() -> Dict[str, str]:
    """Return the environment variables less those that would lead pip out of the environment."""
    strays = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIRE_HASHES", "PYTHONHOME")
    kept = {name: value for name, value in os.environ.items() if name not in strays}
    kept.update(PIP_USER="0", PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1")
    return kept


@contextlib.contextmanager
def step(what: str) -> Iterator[None]:
    """Say what goes on now, count the seconds on a terminal, and say how many they were."""
    line = "set-up: {} …".format(what)
    start = time.monotonic()
    over = threading.Event()

    def count() -> None:
        while not over.wait(1):
            print("\r{} {:.0f} s".format(line, time.monotonic() - start), end="", flush=True)

    print(line, end="", flush=True)
    ticker = threading.Thread(target=count, daemon=True)
    if sys.stdout.isatty():
        ticker.start()
    try:
        yield
    finally:
        over.set()
        if ticker.is_alive():
            ticker.join()
        again = "\r" + line if sys.stdout.isatty() else ""
        print("{} {:.0f} s".format(again, time.monotonic() - start), flush=True)


def run(command: List[str], venv: Path) -> None:
    """Run one command, its output added to the log.

    Raises
    ------
    SetupError
        It failed; the line says why, as far as its output tells.
    """
    log = venv / LOG
    with log.open("ab") as out:
        before = out.tell()
        code = subprocess.call(
            command,
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=str(venv.parent),
            env=own_environment(),
        )
    if code != 0:
        with log.open("rb") as written:
            written.seek(before)
            output = written.read().decode(errors="replace")
        raise SetupError("{} (all of it: {})".format(explain(output, code), log))


def explain(output: str, code: int) -> str:
    """Say in one line why pip or venv failed.

    Parameters
    ----------
    output : str
        All that it printed.
    code : int
        Its exit code.
    """
    if re.search(r"No space left on device|Errno 28|not enough space", output):
        return "the disk is full: an environment needs about 4 GB"
    if re.search(
        r"NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|"
        r"ConnectionResetError|Max retries exceeded|Could not fetch URL|Network is unreachable",
        output,
    ):
        return "pip could not reach its package index: check the network or the proxy, try again"
    if "DO NOT MATCH THE HASHES" in output:
        return "a downloaded package is not the one that requirements.txt names: try again"
    if re.search(r"ensurepip.*(non-zero|returned)|ensurepip is not available", output):
        return "this Python's venv is incomplete: on Debian and Ubuntu, apt install python3-venv"
    errors = re.findall(r"^(?:ERROR|error|[A-Za-z]*Error): *(.+)$", output, flags=re.MULTILINE)
    lines = output.strip().splitlines()
    return errors[-1] if errors else "exit code {}: {}".format(code, lines[-1] if lines else "")


def room(root: Path) -> None:
    """Raise SetupError where the disk has too little room to begin."""
    free = shutil.disk_usage(str(root)).free
    if free < SPACE:
        raise SetupError(
            "found {:.1f} GB free at {}, expected at least {:.0f}".format(
                free / 1024**3, root, SPACE / 1024**3
            )
        )


def make(root: Path, python: Python, name: str = "lessons") -> None:
    """Make an empty environment in the place of what is there.

    Raises
    ------
    SetupError
        There is too little room, or venv failed; the folder is left marked as unfinished.
    """
    folder = ENVIRONMENTS[name][0]
    venv = root / folder
    room(root)
    if venv.is_symlink():
        venv.unlink()
    elif venv.exists():
        with step("removing the old " + folder):
            shutil.rmtree(str(venv))
    venv.mkdir()
    write_stamp(venv, UNFINISHED)
    with step("making {} with Python {} at {}".format(folder, python.version, python.path)):
        run([python.path, "-I", "-m", "venv", str(venv)], venv)


def fill(root: Path, name: str = "lessons") -> None:
    """Install what its locks name, and the helpers, in the environment; then stamp it.

    Raises
    ------
    SetupError
        A step failed; the folder is left marked as unfinished.
    """
    folder, locks = ENVIRONMENTS[name]
    venv = root / folder
    write_stamp(venv, UNFINISHED)
    inside = str(venv_python(venv))
    # -I: no PYTHON… variable of the user's reaches these, PYTHONDONTWRITEBYTECODE among them.
    pip = [inside, "-I", "-m", "pip", "install", "--progress-bar=off", "--no-compile"]
    listed = set()  # what two locks hold, both pin to the same version
    for lock in locks:
        listed.update(re.findall(r"^[^ #=]+==", (root / lock).read_text("utf-8"), re.MULTILINE))
    wanted = [part for lock in locks for part in ("-r", lock)]
    with step("installing {} packages, some minutes the first time".format(len(listed))):
        run([*pip, "--require-hashes", "--only-binary=:all:", *wanted], venv)
    with step("installing the helpers from this checkout"):
        run([*pip, "--no-deps", "--no-build-isolation", "--no-index", "--editable", "."], venv)
    for file, content in JUPYTER.items():
        path = venv / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1), encoding="utf-8")
    with step("compiling them, so that TensorFlow starts twice as fast"):
        # Packages ship a few files that no Python compiles, for other versions; that is no failure.
        subprocess.call(
            [inside, "-I", "-m", "compileall", "-qq", "-j", "0", str(venv)],
            stderr=subprocess.DEVNULL,
            env=own_environment(),
        )
    final = probe([inside])
    if final is None:
        raise SetupError("the Python that was just put in {} does not run".format(venv))
    write_stamp(venv, fingerprint(root, final, name))


def main() -> int:
    """Do what is to be done, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--this-python", action="store_true", help="use the Python that runs this, and no other"
    )
    parser.add_argument(
        "--environment", choices=sorted(ENVIRONMENTS), default="lessons", help="what to set up"
    )
    options = parser.parse_args()
    only_this, name = options.this_python, options.environment
    try:
        wanted = choose(only_this) if only_this else None
        verdict, why = judge(ROOT, wanted, name)
        if verdict == "ready":
            return 0
        say(why)
        start = time.monotonic()
        if verdict == "make":
            make(ROOT, wanted or choose(only_this), name)
        fill(ROOT, name)
        say("ready after {:.0f} s".format(time.monotonic() - start))
        return 0
    except SetupError as error:
        print("set-up: " + str(error), file=sys.stderr)
    except OSError as error:
        print("set-up: {}".format(error), file=sys.stderr)
    except KeyboardInterrupt:
        print("\nset-up: stopped; the next run begins again", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
