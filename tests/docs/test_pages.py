"""The pages as pages: links lead somewhere, sentences are short, the README is small, and the site builds."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest

import sentiment_batch
from scripts import prose
from tests.docs import pages

MAX_README_BYTES = 10_000
MIN_PAGES = 12
PACKAGE = pages.ROOT / "src" / "sentiment_batch"
OURS = [pages.README, pages.ROOT / "CONTRIBUTING.md", pages.ROOT / "CHANGELOG.md", *pages.PAGES]


def test_the_readme_is_small():
    assert len(pages.README.read_bytes()) <= MAX_README_BYTES


@pytest.mark.parametrize("page", OURS, ids=pages.name_of)
def test_every_link_of_a_page_leads_somewhere(page):
    for target in pages.links(page):
        path, _, anchor = target.partition("#")
        other = (page.parent / path).resolve() if path else page
        assert other.exists(), f"{pages.name_of(page)}: {target}"
        assert other.is_relative_to(pages.DOCS) or not page.is_relative_to(pages.DOCS), f"the site has no {target}"
        assert not anchor or anchor in pages.anchors(other), f"{pages.name_of(page)}: {target}"


@pytest.mark.parametrize("places", [("README.md",), ("CHANGELOG.md", "CONTRIBUTING.md"), ("docs",), ("plugins",)])
def test_few_sentences_are_long(places):
    share, found = prose.long_share(prose.files_of(places))
    assert share < prose.MAX_LONG_SHARE, "\n".join(f"{path}: {sentence}" for path, sentence in found)


def test_sentences_are_cut_at_their_ends():
    text = "# A heading of several words here\n\n- It ends. Here (a new one) begins, with `code of many words`.\n"
    text += "\n```text\nnot counted at all\n```\n\n| a cell | of a table with some words |\n"
    assert prose.sentences(text) == [
        "A heading of several words here",
        "Here (a new one) begins, with code.",
        "of a table with some words",
    ]


def test_a_long_sentence_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("This one is short enough. " + "And this one has many words " * 6 + "in it.\n", encoding="utf-8")
    share, found = prose.long_share([page])
    assert (share, len(found)) == (0.5, 1)


def test_every_page_is_in_the_navigation_and_of_one_kind():
    listed = re.findall(r"^\s+- [^:]+: (\S+\.md)$", (pages.ROOT / "properdocs.yml").read_text("utf-8"), flags=re.M)
    assert sorted(listed) == sorted(page.relative_to(pages.DOCS).as_posix() for page in pages.PAGES)
    kinds = {page.relative_to(pages.DOCS).parts[0] for page in pages.PAGES if page.parent != pages.DOCS}
    assert kinds == {"tutorial", "how-to", "reference", "explanation", "contributing"}


def test_the_extras_and_targets_that_pages_name_exist():
    project = tomllib.loads((pages.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    targets = set(re.findall(r"^(\w+):", (pages.ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    for page in OURS:
        text = pages.text_of(page)
        for extras in re.findall(r"(?:batch|\.)\[(\w+(?:,\w+)*)\]", text):
            assert set(extras.split(",")) <= project["optional-dependencies"].keys(), f"{pages.name_of(page)}: {extras}"
        assert set(re.findall(r"(?:`|^\$ )make (\w+)", text, flags=re.MULTILINE)) <= targets, pages.name_of(page)
        for path in re.findall(r"(?<=\s)\./(plugins/[\w-]+)", text):
            assert (pages.ROOT / path / "pyproject.toml").exists(), f"{pages.name_of(page)}: {path}"
    assert "make test" in (pages.ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "$ make test\n" in pages.text_of(pages.README)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of a site that was built in strict mode."""
    pytest.importorskip("properdocs", reason="the extra `docs` is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "properdocs", "build", "--strict", "--quiet", "--site-dir", folder]
    built = subprocess.run(command, cwd=pages.ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return folder


def test_the_site_builds_in_strict_mode_with_all_pages(site):
    made = {path.relative_to(site).with_suffix(".md").as_posix() for path in site.rglob("*.html")} - {"404.md"}
    assert made == {page.relative_to(pages.DOCS).as_posix() for page in pages.PAGES}
    assert len(made) >= MIN_PAGES


def test_the_site_fetches_nothing_from_other_hosts(site):
    fetched = re.compile(r"""(?:src|(?<=<link )[^>]*href)=["'](?:https?:)?//[^"']*|url\(["']?https?:|@import""")
    for path in [*site.rglob("*.html"), *site.rglob("*.css")]:
        assert not fetched.findall(path.read_text(encoding="utf-8")), path.relative_to(site)


@pytest.mark.parametrize("name", ["index.md", "architecture.md"])
def test_a_page_for_contributors_names_files_that_exist(name):
    named = re.findall(r"`([\w./]+\.(?:py|css))`", pages.text_of(pages.DOCS / "contributing" / name))
    named += re.findall(
        r"`((?:data|training|scoring|model|report)/\w+)`", pages.text_of(pages.DOCS / "contributing" / name)
    )
    assert len(named) >= 10
    missing = [one for one in named if not (PACKAGE / one.removeprefix("sentiment_batch/")).exists()]
    assert missing == []


def test_the_names_in_the_table_for_contributors_exist():
    named = re.findall(
        r"`(\w+(?:\.\w+)?)`[^|`]* in `([\w/]+\.py)`", pages.text_of(pages.DOCS / "contributing" / "index.md")
    )
    assert named
    for name, file in named:
        assert name.rpartition(".")[2] in (PACKAGE / file).read_text(encoding="utf-8"), (name, file)


def test_the_layers_of_the_page_are_those_of_the_package():
    rows = re.findall(
        r"^\| (\d) \w+ \| ([^|]+) \|", pages.text_of(pages.DOCS / "contributing" / "architecture.md"), re.M
    )
    drawn = {int(layer): set(re.findall(r"`(\w+)`", names)) for layer, names in rows}
    for line in (sentiment_batch.__doc__ or "").splitlines():
        if found := re.match(r"    (\d) [a-z]+ +", line):
            names = {name.rstrip("/") for name in re.split(r" {3,}", line[found.end() :])[0].split()}
            assert drawn[int(found[1])] == {name for name in names if not name.startswith("__")}


def test_the_page_about_the_tests_names_files_that_exist():
    roots = (pages.ROOT, pages.ROOT / "tests", PACKAGE)
    named = re.findall(r"`([\w/]+(?:\.py|/))`", pages.text_of(pages.ROOT / "tests" / "README.md"))
    assert [one for one in named if not any((root / one).exists() for root in roots)] == []
