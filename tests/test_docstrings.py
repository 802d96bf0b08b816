"""Every public function of the helpers is documented, and says which lesson builds it."""

import ast
import importlib
import inspect
import json
import pkgutil
import re
from pathlib import Path

import pytest

import helpers

ROOT = Path(__file__).resolve().parent.parent
MODULES = [module.name for module in pkgutil.iter_modules(helpers.__path__)]


def public(name):
    module = importlib.import_module(f"helpers.{name}")
    for public_name in module.__all__:
        part = getattr(module, public_name)
        if callable(part):
            yield public_name, part


PUBLIC = [
    pytest.param(part, id=f"{module}.{name}") for module in MODULES for name, part in public(module)
]


@pytest.mark.parametrize("part", PUBLIC)
def test_each_part_is_documented(part):
    document = inspect.getdoc(part) or ""
    assert document, "no docstring"
    if inspect.isclass(part) and issubclass(part, Exception):
        return
    assert ">>> " in document, "no example"
    parameters = [
        name
        for name, parameter in inspect.signature(part).parameters.items()
        if name != "self"
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if inspect.isclass(part) and "__init__" not in vars(part) and "Parameters" not in document:
        parameters = []  # those of another library's class
    for name in parameters:
        assert re.search(rf"^(\w+, )*{name}(, \w+)* : ", document, re.MULTILINE), f"{name}?"
    if not inspect.isclass(part):
        returns = inspect.signature(part).return_annotation
        says = re.search(r"^(Returns|Yields)\n-", document, re.MULTILINE)
        assert says or returns in (None, "None"), "returns what?"
        raises = "raise " in inspect.getsource(part)
        assert not raises or re.search(r"^Raises\n-", document, re.MULTILINE), "raises what?"


def lesson_titles():
    titles = {}
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        first = json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"]
        heading = "".join(first).partition("\n")[0].removeprefix("# ")
        titles[heading] = path
    return titles


@pytest.mark.parametrize("name", MODULES)
def test_each_module_names_the_lesson_that_builds_it(name):
    document = importlib.import_module(f"helpers.{name}").__doc__ or ""
    named = re.search(r"^The lesson that builds it: (.+)\.$", document, re.MULTILINE)
    assert named, "no line 'The lesson that builds it: NN Title.'"
    lesson = lesson_titles().get(named[1])
    assert lesson, f"no lesson is called {named[1]!r}"
    sources = [
        "".join(cell["source"])
        for cell in json.loads(lesson.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]
    imported = set()
    for node in ast.walk(ast.parse("\n".join(s for s in sources if not s.startswith("%")))):
        if isinstance(node, ast.ImportFrom) and node.module == "helpers":
            imported |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("helpers."):
            imported.add(node.module.removeprefix("helpers."))
    # A function may be reached through a module that passes it on, as `images.audit` is.
    passed_on = [
        f"{other}.{part}("
        for other in MODULES
        for part, value in public(other)
        if other != name and getattr(value, "__module__", "") == f"helpers.{name}"
    ]
    used = any(call in source for call in passed_on for source in sources)
    assert name in imported or used, f"{lesson.name} does not import it"
