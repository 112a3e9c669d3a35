"""The page on plugins, followed literally in an empty folder: its files, its commands, and what they print."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import venv

import pytest

from tests.docs import pages


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


@pytest.mark.skipif(sys.platform == "win32", reason="the commands of the page are for a shell")
def test_the_page_on_plugins_leads_to_a_tested_plugin(machine, tmp_path):
    place, seen = tmp_path, []
    for block in pages.blocks(pages.PLUGIN_PAGE):
        if block.file:
            (place / block.file).write_text(block.body, encoding="utf-8")
            continue
        assert block.language == "console", f"a block that no test follows: {block.body}"
        for command, shown in pages.commands(block.body):
            if command.startswith("cd "):
                place /= command[3:]
                continue
            ran = machine(command, place)
            assert ran.returncode == 0, f"{command}\n{ran.stdout}"
            assert not shown or pages.matches(shown, ran.stdout), f"{command}\n{ran.stdout}"
            seen.append(command.split()[0])
    assert {"mkdir", "pip", "sentiment-batch", "python"} <= set(seen)
