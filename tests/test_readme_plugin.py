"""The chapter of the README on plugins, followed to the letter in an empty folder: files, commands, what they say."""

from __future__ import annotations

import os
import re
import shutil
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
CHAPTER = README.partition("### Write a plugin in ten minutes\n")[2].partition("\n## ")[0]
BLOCK = re.compile(
    r"^(?:`(?P<file>[\w./]+)` (?:[^\n]+\n)+\n)?```(?P<language>\w+)\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL
)
"""A block of code; the paragraph before one that is a file begins with the file's name."""


def commands(block):
    """Each command of a console block, with what it shows; no line where the block does not say."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield command, shown


def matches(shown, output):
    """Whether the output is what is shown, in which `...` stands for anything."""
    pattern = re.escape(shown).replace(re.escape("..."), ".*")
    return re.fullmatch(pattern, output, re.DOTALL) is not None


@pytest.fixture
def machine(tmp_path, tiny_model):
    """Runs commands where sentiment-batch is installed, in an environment of its own, beside a folder with a model."""
    folder = tmp_path / "environment"
    venv.create(folder, symlinks=True)
    packages = next(folder.rglob("site-packages"))
    # What this environment has, the new one has too, linked packages among it; what is installed goes into the new one.
    lines = [f"import site; site.addsitedir({path!r})" for path in site.getsitepackages()]
    (packages / "the-others.pth").write_text("\n".join(lines))
    for name, module in (("pip", "pip"), ("sentiment-batch", "sentiment_batch")):
        script = folder / "bin" / name
        script.write_text(f'#!/bin/sh\nexec "{folder}/bin/python" -m {module} "$@"\n')
        script.chmod(0o755)
    shutil.copytree(tiny_model, tmp_path / "my-model")
    settings = {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "SENTIMENT_BATCH_LOAD_PLUGINS": "lines"}
    settings |= {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"}  # pip's way to say yes: needs no network

    def run(command, place):
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.run(command, shell=True, cwd=place, env=os.environ | settings, text=True, **both)

    return run


@pytest.mark.skipif(sys.platform == "win32", reason="the chapter's commands are for a shell")
def test_the_chapter_on_plugins_leads_from_an_empty_folder_to_a_tested_plugin(machine, tmp_path):
    place, seen = tmp_path, []
    for block in BLOCK.finditer(CHAPTER):
        if block["file"]:
            (place / block["file"]).write_text(block["body"], encoding="utf-8")
            continue
        assert block["language"] == "console", f"a block that no test follows: {block['body']}"
        for command, shown in commands(block["body"]):
            if command.startswith("cd "):
                place /= command[3:]
                continue
            ran = machine(command, place)
            assert ran.returncode == 0, f"{command}\n{ran.stdout}"
            assert not shown or matches(shown, ran.stdout), f"{command}\n{ran.stdout}"
            seen.append(command.split()[0])
    assert {"mkdir", "pip", "sentiment-batch", "python"} <= set(seen)
