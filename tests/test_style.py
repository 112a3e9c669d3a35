"""Rules of the code's style that a program can check: plain words, short names, one name for one thing, short files."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

import sentiment_batch

SRC = Path(sentiment_batch.__file__).parent
ROOT = SRC.parents[1]
MODULES = {path.relative_to(SRC).as_posix(): path for path in sorted(SRC.rglob("*.py"))}
TEST_FILES = sorted(
    path for folder in ("tests", "plugins") for path in (ROOT / folder).rglob("test_*.py") if "build" not in path.parts
)

MAX_TEST_NAME = 60
"""Characters of a test's name."""
MAX_FILE_LINES = 350
"""Lines of a file of `src`."""
MAX_SHARED_NAMES = 10
"""Public names that more than one module may define."""

WORDS = re.compile(
    r"(?<![`\"])\b(roads?|rungs?|livable|fleet|gone on with|goes on with|can be gone|is told|are told|likewise)\b",
    re.IGNORECASE,
)
"""Words that the vocabulary has replaced. In quotes they may stand: version 0.2 still writes the JSON key `road`."""
OTHER_PROGRAMS = re.compile(r"pip install --[a-z-]+|^--model$")
"""Options that may stand outside the command line: pip's, and the one in the command that a model card shows."""
SHARED_NAMES = {
    "register_readers": "the hook's specification, and the built-in formats that implement it",
    "register_writers": "the same",
    "compare": "a function of the library, and the command that calls it",
    "evaluate": "the same",
    "explain": "the same",
    "score": "the same",
    "select": "the same",
    "train": "the same",
    "main": "the command line, and the entry point that reports a missing package before it loads the command line",
}
"""Public names that several modules define, and why."""


def public_names(tree):
    """The names of the public functions and classes of a module."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return [node.name for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")]


def shared_names():
    """The public names that two modules or more define, with the modules."""
    homes = defaultdict(list)
    for name, path in MODULES.items():
        for public in public_names(ast.parse(path.read_text(encoding="utf-8"))):
            homes[public].append(name)
    return {name: modules for name, modules in homes.items() if len(modules) > 1}


def strings(tree):
    """The strings of a module with their lines; docstrings and the strings below fields are left out."""
    documents = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
            yield node.lineno, node.value


def prose():
    """The files whose words are held to the vocabulary."""
    for folder in ("src", "plugins", "docs"):
        for path in sorted((ROOT / folder).rglob("*")):
            parts = set(path.parts) & {"build", "__pycache__"}
            made = any(part.endswith(".egg-info") for part in path.parts)
            if path.suffix in {".py", ".md", ".toml", ".html", ".css", ".txt"} and not parts and not made:
                yield path
    yield ROOT / "README.md"


def test_names_of_tests_are_short():
    long = [
        f"{path.relative_to(ROOT)}: {node.name} ({len(node.name)})"
        for path in TEST_FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and len(node.name) > MAX_TEST_NAME
    ]
    assert long == []


def test_replaced_words_do_not_come_back():
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in prose()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if WORDS.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("name", sorted(name for name in MODULES if not name.startswith("cli/")))
def test_only_the_command_line_writes_options(name):
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    left = ((line, OTHER_PROGRAMS.sub("", text)) for line, text in strings(tree))
    assert [f"{name}:{line}: {text}" for line, text in left if re.search(r"(?<![\w-])--[a-z]", text)] == []


def test_a_public_name_is_defined_in_one_module():
    assert {name: modules for name, modules in shared_names().items() if name not in SHARED_NAMES} == {}


def test_the_list_of_shared_names_is_short_and_needed():
    assert len(SHARED_NAMES) <= MAX_SHARED_NAMES
    assert set(SHARED_NAMES) <= set(shared_names())
    assert all(SHARED_NAMES.values())


@pytest.mark.parametrize("name", sorted(MODULES))
def test_files_are_short(name):
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= MAX_FILE_LINES


def test_the_package_holds_no_left_over_of_a_merge():
    assert [path.name for path in SRC.rglob("*") if path.suffix in {".orig", ".rej", ".bak"}] == []


def test_the_checks_see_what_they_look_for():
    tree = ast.parse(
        '"""--doc."""\nx: int\n"""--field."""\nraise ValueError("give --limit")\nf"{x} --more"\ndef f(): pass\n'
    )
    assert [text for _, text in strings(tree)] == ["give --limit", " --more"]
    assert public_names(tree) == ["f"]
    assert WORDS.search("By that road.")
    assert not WORDS.search("broad")
    assert not WORDS.search("the key `road`")
