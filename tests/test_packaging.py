"""The packages as users get them: wheels with extras that install without an index, and a source archive that tests."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import tarfile
import tomllib
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
PLUGINS = ("delta", "excel", "ray", "sql")
OURS = ("sentiment_batch", "__editable__.sentiment_batch", "__editable___sentiment_batch")
"""Beginnings of the names under which our own packages lie in an environment."""
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", "build", "dist", "site", "*.egg-info", "__pycache__", ".*_cache", ".demo", ".hypothesis", "results"
)
QUICK_TESTS = ("tests/test_errors.py", "tests/test_locations.py", "tests/docs/test_pages.py")


def run(*command, cwd, **environment):
    words = [str(word) for word in command]
    ran = subprocess.run(words, cwd=cwd, env=os.environ | environment, capture_output=True, text=True)
    assert ran.returncode == 0, f"{' '.join(words)}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """The folder with the wheels and the source archive, built as `make dist` builds them, but without a network."""
    pytest.importorskip("build", reason="the extra `dev` is not installed")
    folder = tmp_path_factory.mktemp("packages")
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=NOT_COPIED)
    made = folder / "dist"
    for place, kinds in (
        (source, ("--wheel", "--sdist")),
        *((source / f"plugins/sentiment-batch-{n}", ("--wheel",)) for n in PLUGINS),
    ):
        run(sys.executable, "-m", "build", "--no-isolation", *kinds, "--outdir", made, place, cwd=folder)
    return made


@pytest.fixture(scope="module")
def python(dist, tmp_path_factory):
    """The Python of an environment with everything that this one has, but with none of our own packages."""
    folder = tmp_path_factory.mktemp("environment")
    others = folder / "others"
    others.mkdir()
    for path in (path for place in site.getsitepackages() for path in Path(place).iterdir()):
        if not path.name.startswith(OURS):
            (others / path.name).symlink_to(path)
    venv.create(folder / "venv", symlinks=sys.platform != "win32")
    packages = next((folder / "venv").rglob("site-packages"))
    (packages / "others.pth").write_text(f"import site; site.addsitedir({str(others)!r})\n", encoding="utf-8")
    return packages.parents[2] / "bin" / "python"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="makes symbolic links")
def test_the_extras_install_from_our_wheels_without_an_index(dist, python, tmp_path):
    for name in PLUGINS:
        pytest.importorskip(f"sentiment_batch_{name}", reason="the dependencies of the plugins are not installed")
    pip = (python, "-m", "pip", "--disable-pip-version-check", "install", "--no-index", "--quiet")
    run(*pip, "--find-links", dist, "sentiment-batch[all]", cwd=tmp_path, PIP_CONFIG_FILE=os.devnull, PIP_FIND_LINKS="")
    run(python, "-m", "pip", "check", "--disable-pip-version-check", cwd=tmp_path)
    listed = run(python, "-m", "sentiment_batch", "plugins", cwd=tmp_path)
    formats = run(python, "-m", "sentiment_batch", "formats", cwd=tmp_path)
    for name in PLUGINS:
        assert f"sentiment-batch-{name} {VERSION}" in listed
    assert "excel " in formats
    assert "sql " in formats
    assert "delta " in formats


@pytest.mark.slow
def test_the_tests_run_from_the_source_archive(dist, tmp_path):
    (archive,) = dist.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    packed = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    for place in ("src", "tests", "docs", "scripts", "sample_data", "plugins/sentiment-batch-excel/src"):
        for path in (ROOT / place).rglob("*"):
            if path.is_file() and not {"__pycache__", "build"} & set(path.parts) and ".egg-info" not in str(path):
                assert path.relative_to(ROOT).as_posix() in packed
    assert {"Makefile", "constraints.txt", "properdocs.yml", "LICENSE", "CHANGELOG.md"} <= packed
    run(
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        *QUICK_TESTS,
        cwd=folder,
        PYTHONPATH=str(folder / "src"),
    )


@pytest.mark.slow
def test_the_versions_of_the_packages_go_together(dist):
    names = sorted(path.name.split("-")[:2] for path in dist.glob("*.whl"))
    assert names == [["sentiment_batch", VERSION], *([f"sentiment_batch_{name}", VERSION] for name in PLUGINS)]
