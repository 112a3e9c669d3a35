"""Which files a folder or a pattern stands for: hidden ones, links, files of scoring, and Delta Lake tables."""

from __future__ import annotations

import os

import pytest

from sentiment_batch.data import formats
from sentiment_batch.data.readers.dataset_files import find_files
from sentiment_batch.data.scored_names import shorten_name
from sentiment_batch.errors import InputError

JSON = (".jsonl", ".ndjson", ".json")


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Makes files in a new folder, which is the current one; a name that ends with / is a folder."""
    monkeypatch.chdir(tmp_path)

    def make_all(*names):
        for name in names:
            path = tmp_path / name
            if name.endswith("/"):
                path.mkdir(parents=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text('{"text": "fine"}\n')

    return make_all


def paths(location, endings=JSON):
    return [file.location for file in find_files(location, endings)]


def warnings(caplog):
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("ending", ["jsonl", "json", "jsonl.gz"])
def test_manifests_and_lists_of_bad_rows_are_no_data(make, caplog, ending):
    outputs = [f"r/day-1.{ending}", f"r/day-2.{ending}"]
    make(*outputs, *(f"{name}.{kind}" for name in outputs for kind in ("manifest.json", "problems.jsonl")))
    for location in ("r", "r/*", "r/**", "./r/*.json*"):
        assert [os.path.normpath(path) for path in paths(location)] == outputs
    assert warnings(caplog) == []


def test_the_manifest_of_an_output_folder_is_no_data(make):
    make("r/all/part-0.jsonl", "r/all.manifest.json", "r/b.jsonl")
    assert paths("r") == ["r/all/part-0.jsonl", "r/b.jsonl"]
    assert paths("r/*") == ["r/all/part-0.jsonl", "r/b.jsonl"]


def test_the_manifest_of_an_output_with_a_long_name_is_no_data(make):
    name = f"{'x' * 210}.jsonl"
    make(f"r/{name}", f"r/{shorten_name(name)}.manifest.json")
    assert paths("r") == [f"r/{name}"]


def test_other_files_with_the_names_of_manifests_are_data(make):
    make("r/a.jsonl", "r/b.manifest.json", "r/a.jsonl.manifest.json")
    assert paths("r") == ["r/a.jsonl", "r/b.manifest.json"]
    assert paths("r/*.manifest.json") == ["r/a.jsonl.manifest.json", "r/b.manifest.json"]  # whoever asks for them


def test_manifests_behind_a_url_are_no_data(memory):
    for name in ("a.jsonl", "a.jsonl.manifest.json", "all/part-0.jsonl", "all.manifest.json"):
        memory.put(f"r/{name}", b'{"text": "fine"}\n')
    for location in ("r", "r/*", "r/**"):
        found = [path.partition("/r/")[2] for path in paths(f"{memory.url}/{location}")]
        assert found == ["a.jsonl", "all/part-0.jsonl"]


@pytest.mark.parametrize(("ending", "format"), [("csv", "csv"), ("arrow", "arrow"), ("xlsx", "excel")])
def test_manifests_do_not_decide_the_format_of_a_folder(make, tmp_path, ending, format):
    make(f"r/a.{ending}", f"r/a.{ending}.manifest.json", f"r/a.{ending}.problems.jsonl")
    assert formats.find_reader_format("r").name == format
    assert formats.find_reader_format(f"file://{tmp_path}/r/").name == format
    assert paths("r", (f".{ending}",)) == [f"r/a.{ending}"]


def test_two_stars_find_each_file_once(make):
    make("z/g/a.jsonl", "z/g/deep/b.jsonl", "z/g/_temporary/c.jsonl")
    wanted = ["z/g/a.jsonl", "z/g/deep/b.jsonl"]
    for pattern in ("z/g/**", "z/**", "**/*.jsonl", "z/**/*.jsonl", "z/*/**/*.jsonl", "**", "z/g/**/**"):
        assert paths(pattern) == wanted, pattern
    assert paths("z/**/deep") == ["z/g/deep/b.jsonl"]


@pytest.mark.parametrize("folder", ["_temporary", ".hidden"])
def test_wildcards_do_not_match_hidden_folders(make, caplog, folder):
    make("g/a.jsonl", f"g/{folder}/b.jsonl", f"g/sub/{folder}/c.jsonl", "g/sub/d.jsonl")
    for pattern in ("g/*", "g/**", "g/**/*.jsonl"):
        assert paths(pattern) == ["g/a.jsonl", "g/sub/d.jsonl"], pattern
    assert paths("g/*/*.jsonl") == ["g/sub/d.jsonl"]
    said = "files and folders whose names begin with . or _ are left out, such as"
    assert f"g/sub: {said} '{folder}/c.jsonl'" in warnings(caplog)
    if folder == "_temporary":  # as in the shell, no wildcard looks at a name that begins with a dot
        assert f"g/*: {said} '_temporary/b.jsonl'" in warnings(caplog)
        assert f"g/**/*.jsonl: {said} '_temporary/b.jsonl'" in warnings(caplog)


def test_a_hidden_folder_that_a_pattern_spells_out_is_read(make, caplog):
    make("g/_temporary/b.jsonl", "g/sub/_temporary/c.jsonl", "g/.hidden/d.jsonl")
    assert paths("g/_temporary/*") == paths("g/_temp*/*.jsonl") == ["g/_temporary/b.jsonl"]
    assert paths("g/**/_temporary/*.jsonl") == ["g/_temporary/b.jsonl", "g/sub/_temporary/c.jsonl"]
    assert paths("g/.hidden/**") == paths("g/**/.hidden/*") == ["g/.hidden/d.jsonl"]
    assert warnings(caplog) == []


def test_partitions_may_begin_with_an_underscore(make, caplog):
    make("g/_year=2023/a.jsonl", "g/_year=2024/b.jsonl")
    for location in ("g", "g/*", "g/*/*.jsonl"):
        assert [file.partitions for file in find_files(location, JSON)] == [{"_year": "2023"}, {"_year": "2024"}]
    assert warnings(caplog) == []
    assert formats.find_reader_format("g").name == "jsonl"


def test_data_in_hidden_folders_is_reported(make, caplog):
    make("g/a.jsonl", "g/_temporary/b.jsonl", "g/_logs/c.txt", "g/.out.jsonl.scoring/job.json")
    assert paths("g") == ["g/a.jsonl"]
    assert warnings(caplog) == [
        "g: files and folders whose names begin with . or _ are left out, such as '_temporary/b.jsonl'"
    ]


def test_links_in_circles_are_followed_once(make, caplog):
    make("s/a.jsonl", "s/sub/b.jsonl")
    for link, target in (("s/loop", "."), ("s/again", "."), ("s/sub/up", "..")):
        os.symlink(target, link)
    for location in ("s", "s/**", "s/**/*.jsonl", "**/*.jsonl"):
        caplog.clear()
        assert paths(location) == ["s/a.jsonl", "s/sub/b.jsonl"], location
        assert warnings(caplog) == [f"{location}: links to files that are read anyway are left out, such as 's/again'"]
    assert formats.find_reader_format("s").name == "jsonl"


def test_a_file_is_read_once_however_many_links_lead_to_it(make, caplog):
    make("s/2024/b.jsonl", "s/a.jsonl", "elsewhere/c.jsonl")
    os.symlink("2024", "s/1-latest")
    os.symlink("a.jsonl", "s/1.jsonl")
    os.symlink("../elsewhere", "s/more")
    os.symlink("../elsewhere", "s/other")
    os.symlink("../elsewhere/c.jsonl", "s/z.jsonl")
    wanted = ["s/2024/b.jsonl", "s/a.jsonl", "s/more/c.jsonl"]
    assert paths("s") == wanted
    assert warnings(caplog) == ["s: links to files that are read anyway are left out, such as 's/1-latest'"]
    assert paths("s/*") == wanted
    os.link("s/a.jsonl", "s/copy.jsonl")  # a hard link is a file of its own, such as one of equal content
    assert len(paths("s")) == 4


def test_a_folder_is_not_hidden_by_a_hidden_link(make, caplog):
    make("elsewhere/c.jsonl", "s/_data/a.jsonl")
    os.symlink("../elsewhere", "s/.alias")
    os.symlink("../elsewhere", "s/more")
    os.symlink("_data", "s/current")  # as Kubernetes does
    assert paths("s") == ["s/current/a.jsonl", "s/more/c.jsonl"]
    assert warnings(caplog) == []


def test_a_link_that_leads_nowhere_is_reported(make):
    make("s/a.jsonl")
    os.symlink("gone.jsonl", "s/b.jsonl")
    with pytest.raises(InputError, match=r"s/b\.jsonl is not there"):
        formats.open_reader("s")


@pytest.mark.parametrize("location", ["lake", "lake/*", "lake/**", "lake/**/*.jsonl", "lake/*/*.jsonl", "*/table/*"])
def test_a_delta_table_below_a_folder_or_pattern_is_refused(make, location):
    make("lake/table/a.jsonl", "lake/table/_delta_log/", "lake/b.jsonl")
    with pytest.raises(InputError, match=r"^lake/table is a Delta Lake table.* Read it as delta://lake/table, or name"):
        paths(location)


def test_a_pattern_may_name_the_files_of_a_delta_table(make, caplog):
    make("lake/table/a.jsonl", "lake/table/year=2024/b.jsonl", "lake/table/_delta_log/0.json", "lake/c.csv")
    wanted = ["lake/table/a.jsonl", "lake/table/year=2024/b.jsonl"]
    assert paths("lake/table/**/*.jsonl") == paths("lake/table/*") == wanted
    assert warnings(caplog) == []
    assert paths("lake", (".csv",)) == ["lake/c.csv"]  # no file of the table is read


def test_a_delta_table_below_a_folder_behind_a_url_is_refused(memory):
    for name in ("table/a.jsonl", "table/_delta_log/0.json"):
        memory.put(f"lake/{name}", b"{}\n")
    for location in ("lake", "lake/*", "lake/*/*.jsonl"):
        with pytest.raises(InputError, match=r"lake/table is a Delta Lake table.* Read it as delta://PATH on"):
            paths(f"{memory.url}/{location}")


def test_the_root_of_a_file_system_behind_a_url_is_read(memory):
    url = memory.put("a.jsonl", b"{}\n")
    name = url.removeprefix("memory://")
    assert [path.strip("/").removeprefix("memory:").strip("/") for path in paths("memory://")] == [name]
