"""What helpers/README.md says of copying a module is enough: each is run in an empty project.

The packages of this environment can be imported there, but not this checkout: neither its editable
install nor its folder is on the path. What runs are the module's own examples.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HELPERS = ROOT / "helpers"

# A line of its table: module, what for, what to copy with it, packages.
ROWS = re.findall(
    r"^\| \[`(\w+)`\]\((\w+\.py|\w+/__init__\.py)\) \|[^|]*\|([^|]*)\|([^|]*)\|$",
    (HELPERS / "README.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)
BESIDE = {name: re.findall(r"`(\w+)\.py`", beside) for name, _, beside, _ in ROWS}
PACKAGES = {name: set(packages.replace(",", " ").split()) for name, *_, packages in ROWS}

# Imported under another name than it is installed by.
INSTALLED_AS = {"PIL": "pillow", "cv2": "opencv-python-headless", "keras": "tensorflow"}
USED_BY_KERAS = {"scipy", "pillow"}  # ImageDataGenerator imports them when it needs them

# Runs each project in turn: with its own files only, yet with one import of TensorFlow.
RUN = """
import doctest, importlib, json, sys
folder, packages, names = sys.argv[1], sys.argv[2], sys.argv[3:]
sys.path[:] = [path for path in sys.path if path] + [packages]
import matplotlib
matplotlib.use("Agg")
results = {}
for name in names:
    for known in [known for known in sys.modules if known.partition(".")[0] == "helpers"]:
        del sys.modules[known]
    importlib.invalidate_caches()
    sys.path.insert(0, f"{folder}/{name}")
    found = {"tried": 0, "error": ""}
    try:
        module = importlib.import_module(f"helpers.{name}")
        assert module.__file__.startswith(folder), module.__file__
        options = doctest.NORMALIZE_WHITESPACE
        found["failed"], found["tried"] = doctest.testmod(module, optionflags=options)
    except Exception as error:
        found["error"] = repr(error)
    results[name] = found
    sys.path.pop(0)
print(json.dumps(results))
"""


def files(name: str) -> list[Path]:
    """Return the files of a module: one, or those of its folder."""
    path = HELPERS / f"{name}.py"
    return [path] if path.is_file() else sorted((HELPERS / name).glob("*.*"))


def examples_use_tiles(name: str) -> bool:
    """Tell whether a module, or an example of it, reads the sample data."""
    return name == "tiles" or any("tiles." in path.read_text("utf-8") for path in files(name))


def imports(name: str) -> tuple[set[str], set[str]]:
    """Return which other helpers and which packages a module imports."""
    own, other = set(), set()
    for path in [path for path in files(name) if path.suffix == ".py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                other |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module == "helpers":
                own |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                first, _, rest = node.module.partition(".")
                (own if first == "helpers" else other).add(
                    rest.partition(".")[0] if first == "helpers" else first
                )
    return own - {name}, other - set(sys.stdlib_module_names) - {"numpy"}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """Copy each module as it says into a project of its own, and run its examples there."""
    folder = tmp_path_factory.mktemp("projects")
    for name, beside in BESIDE.items():
        project = folder / name / "helpers"
        project.mkdir(parents=True)
        data = examples_use_tiles(name)
        for part in {name, *beside, *(["tiles"] if data else [])}:
            for path in files(part):
                target = project / path.relative_to(HELPERS)
                target.parent.mkdir(exist_ok=True)
                shutil.copy2(path, target)
        if data:
            shutil.copytree(ROOT / "data_samples", folder / name / "data_samples")
    # -I and -S: no PYTHONPATH, no packages of the user's, and no editable install.
    python = [sys.executable, "-I", "-S", "-c", RUN]
    done = subprocess.run(
        [*python, str(folder), sysconfig.get_path("purelib"), *BESIDE],
        cwd=folder,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1]) | {"printed": done.stdout}


@pytest.mark.parametrize("name", BESIDE)
def test_a_module_runs_with_what_the_readme_names_and_nothing_else(
    results: dict[str, dict[str, object]], name: str
) -> None:
    found = results[name]
    assert found["error"] == ""
    assert found["tried"] > 0
    assert found["failed"] == 0, results["printed"]


@pytest.mark.parametrize("name", BESIDE)
def test_the_readme_names_no_more_than_is_needed(name: str) -> None:
    needed, known = set(), {name}
    while known - needed:
        needed |= known
        known = needed.union(*(imports(part)[0] for part in needed))
    assert set(BESIDE[name]) == needed - {name}
    packages = {INSTALLED_AS.get(one, one) for part in needed for one in imports(part)[1]}
    assert packages <= PACKAGES[name]
    assert PACKAGES[name] - packages <= (USED_BY_KERAS if "tensorflow" in packages else set())


def test_every_module_is_in_the_table() -> None:
    modules = [path.stem for path in HELPERS.glob("[a-z]*.py")]
    assert sorted(BESIDE) == sorted([*modules, *packages_of_helpers()])


def packages_of_helpers() -> list[str]:
    return [path.parent.name for path in HELPERS.glob("*/__init__.py")]


def test_an_installed_copy_has_every_module_and_what_it_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = ["helpers", *(f"helpers.{name}" for name in packages_of_helpers())]
    assert project["tool"]["setuptools"]["packages"] == listed
    data = {path.name for path in files("contract") if path.suffix != ".py"}
    assert project["tool"]["setuptools"]["package-data"] == {"helpers.contract": [*data]}
    dependencies = {re.split(r"[<>=]", one)[0] for one in project["project"]["dependencies"]}
    assert dependencies == {"numpy"}.union(*PACKAGES.values())
