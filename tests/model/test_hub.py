"""Names of bases and models become local folders that are safe to load; what cannot be had is said in one line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from sentiment_batch.errors import ModelError
from sentiment_batch.model import hub as hub_module
from tests.fake_hub import serve_closed_hub, serve_failing_hub, serve_hub, serve_silent_hub

REPOSITORY = "somebody/tiny-sentiment"


def test_a_folder_is_taken_as_it_is(tiny_base):
    assert hub_module.resolve_model(str(tiny_base)) == tiny_base
    assert hub_module.resolve_model(f"{tiny_base}/") == tiny_base


def test_a_home_folder_is_found(tiny_base, monkeypatch):
    monkeypatch.setenv("HOME", str(tiny_base.parent))
    assert hub_module.resolve_model("~/tiny") == tiny_base


def test_a_folder_goes_before_a_hub_id_of_the_same_name(tiny_base, tmp_path, monkeypatch):
    shutil.copytree(tiny_base, tmp_path / "somebody" / "tiny-sentiment")
    monkeypatch.chdir(tmp_path)
    assert hub_module.resolve_model(REPOSITORY).samefile(tmp_path / "somebody" / "tiny-sentiment")


@pytest.mark.parametrize(
    "name", ["./nowhere", "/nowhere/at/all", "~/nowhere-at-all", "a/b/c", "models/", "C:\\models\\x"]
)
def test_a_path_that_is_not_there_is_never_looked_up_on_the_hub(name):
    with pytest.raises(ModelError, match=r"no model folder is at .*Check the path"):
        hub_module.resolve_model(name)


def test_a_file_is_no_model(tiny_base):
    with pytest.raises(ModelError, match=r"is a file; a model is a folder with config\.json and model\.safetensors"):
        hub_module.resolve_model(str(tiny_base / "model.safetensors"))


def test_a_folder_without_a_configuration_is_no_model(tmp_path):
    with pytest.raises(ModelError, match=r"holds no config\.json"):
        hub_module.resolve_model(str(tmp_path))


def test_a_folder_without_weights_is_no_model(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"holds no model\.safetensors\. Save it again"):
        hub_module.resolve_model(str(tmp_path))


def test_weights_in_shards_are_weights(tmp_path):
    shards = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    for name in ("config.json", *shards):
        (tmp_path / name).write_text("{}")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": dict(zip("abc", [*shards, shards[0]], strict=True))}))
    assert hub_module.resolve_model(str(tmp_path)) == tmp_path


@pytest.mark.parametrize("index", ["", "[]", "{}", '{"weight_map": {"a": "model-00001-of-00001.safetensors"}}'])
def test_missing_shards_and_shards_without_index_are_refused(tmp_path, index):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model-00001-of-00002.safetensors").write_text("{}")
    (tmp_path / "model.safetensors.index.json").write_text(index)
    with pytest.raises(ModelError, match=r"holds no model\.safetensors\. Save it again"):
        hub_module.resolve_model(str(tmp_path))


def test_the_digest_changes_with_what_decides_the_scores_only(tiny_model, tmp_path):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    before = hub_module.hash_model_folder(folder)
    (folder / "README.md").write_text("other words")
    assert hub_module.hash_model_folder(folder) == before
    seen = {before}
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content + b" ")
        seen.add(hub_module.hash_model_folder(folder))
        (folder / name).write_bytes(content)
    assert len(seen) == 4
    assert hub_module.hash_model_folder(folder) == before


def environment(tmp_path, url, **more):
    """A new process's: online, with a cache of its own, and `url` for the Hub."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "SENTIMENT_BATCH_"))}
    proxies = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    places = {"HF_ENDPOINT": url, "HF_HOME": str(tmp_path / "hf"), "SENTIMENT_BATCH_CACHE": str(tmp_path / "cache")}
    return kept | proxies | places | {"OMP_NUM_THREADS": "1"} | more


def predicted(tmp_path, url, model=REPOSITORY):
    command = [sys.executable, "-m", "sentiment_batch", "predict", "a great film", "--json", "-m", model]
    return subprocess.run(
        [*command, "--dtype", "float32"], env=environment(tmp_path, url), capture_output=True, text=True, timeout=120
    )


def test_a_model_of_the_hub_is_fetched_once(tmp_path, tiny_model, cli):
    folder = shutil.copytree(tiny_model, tmp_path / "repository")
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "modeling_evil.py").write_text("raise SystemExit")
    with serve_hub(REPOSITORY, folder) as server:
        first = predicted(tmp_path, server.url)
    assert first.returncode == 0, first.stderr
    local = cli("predict", "a great film", "--json", "-m", tiny_model, "--dtype", "float32")
    assert json.loads(first.stdout) == json.loads(local.stdout)
    fetched = {request.rpartition("/")[2] for request in server.requests if request.startswith("GET /somebody")}
    assert fetched >= {"config.json", "model.safetensors", "tokenizer.json"}
    assert fetched & {"pytorch_model.bin", "modeling_evil.py"} == set()
    again = predicted(tmp_path, server.url)  # nobody listens there any more
    assert (again.returncode, again.stdout) == (0, first.stdout)


RESOLVE = """
import sys
from sentiment_batch.errors import ModelError
from sentiment_batch.model.hub import resolve_model
try:
    resolve_model(sys.argv[1])
except ModelError as error:
    print(error)
    sys.exit(1)
"""


def resolving(tmp_path, url, name=REPOSITORY, **more):
    """What `resolve_model` prints in a new process."""
    command = [sys.executable, "-c", RESOLVE, name]
    return subprocess.run(command, env=environment(tmp_path, url, **more), capture_output=True, text=True, timeout=60)


UNREACHABLE = {
    "closed": (serve_closed_hub, "Connection refused"),
    "silent": (serve_silent_hub, "no answer within 5 seconds"),
    "failing": (lambda: serve_failing_hub(503), "it answers with status 503"),
}


@pytest.mark.parametrize("kind", UNREACHABLE)
def test_an_unreachable_hub_is_one_line_without_many_retries(tmp_path, kind):
    make, why = UNREACHABLE[kind]
    with make() as server:
        run = resolving(tmp_path, server.url)
    assert (run.returncode, run.stderr) == (1, "")
    assert run.stdout.count("\n") == 1
    assert why in run.stdout
    for part in (REPOSITORY, "cannot be reached", "Name the folder of a model, or train one"):
        assert part in run.stdout
    assert len(server.requests) <= 1


def test_an_unreachable_hub_on_the_command_line_is_no_traceback(tmp_path):
    with serve_closed_hub() as server:
        run = predicted(tmp_path, server.url)
    assert (run.returncode, run.stdout) == (1, "")
    *_, last = run.stderr.splitlines()
    assert last.startswith("Error: the Hugging Face Hub cannot be reached for 'somebody/tiny-sentiment'")
    assert "Traceback" not in run.stderr


def test_a_model_that_is_not_on_the_hub_is_reported(tmp_path, tiny_model):
    with serve_hub("somebody/else", tiny_model) as server:
        run = resolving(tmp_path, server.url)
    assert (run.returncode, run.stderr) == (1, "")
    assert run.stdout.startswith("the Hub has no model 'somebody/tiny-sentiment' that you may see")
    assert run.stdout.count("\n") == 1


def test_a_repository_without_safe_weights_is_refused(tmp_path, tiny_model):
    folder = shutil.copytree(tiny_model, tmp_path / "repository")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with serve_hub(REPOSITORY, folder) as server:
        run = resolving(tmp_path, server.url)
    assert run.returncode == 1
    assert "holds no model.safetensors" in run.stdout


@pytest.mark.parametrize(
    ("name", "setting", "said"),
    [
        ("sentimnet-model", "model", "no model folder is called 'sentimnet-model' here. Did you mean sentiment-model?"),
        ("Sentiment-Model2", "model", "Did you mean sentiment-model?"),
        ("minilmm", "base", "Did you mean minilm?"),
        ("minilmm", "model", "no model folder is called 'minilmm' here. Check the spelling"),
        ("./sentimnet-model", "model", "no model folder is at ./sentimnet-model. Did you mean sentiment-model?"),
        ("somebody/else", "base", 'Name a folder, or take `base="minilm"`'),
        ("~nosuchuser/x", "model", "no model folder is at ~nosuchuser/x"),
    ],
)
def test_a_mistyped_name_is_called_that(tmp_path, monkeypatch, tiny_model, name, setting, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sentiment-model").symlink_to(tiny_model)
    with pytest.raises(ModelError) as caught:
        hub_module.resolve_model(name, setting=setting)
    assert said in str(caught.value)
    assert setting == "base" or "minilm`" not in str(caught.value).replace("'minilmm'", "")


def test_offline_mode_asks_nobody(tmp_path, tiny_model):
    with serve_hub(REPOSITORY, tiny_model) as server:
        run = resolving(tmp_path, server.url, HF_HUB_OFFLINE="1")
    assert run.returncode == 1
    assert "(HF_HUB_OFFLINE is set)" in run.stdout
    assert server.requests == []


def test_an_impossible_model_name_is_reported(tmp_path):
    with serve_closed_hub() as server:
        run = resolving(tmp_path, server.url, name="not a name!")
    assert (run.returncode, run.stderr) == (1, "")
    assert run.stdout.startswith("'not a name!' is neither a folder nor a Hub id")
    assert run.stdout.count("\n") == 1


def test_an_interrupted_download_is_completed_later(tmp_path, tiny_model):
    folder = shutil.copytree(tiny_model, tmp_path / "repository")
    with serve_hub(REPOSITORY, folder) as server:
        assert resolving(tmp_path, server.url).returncode == 0
        snapshots = list((tmp_path / "hf").rglob("snapshots/*"))
        for name in ("tokenizer.json", "model.safetensors"):
            (snapshots[0] / name).unlink()
            assert resolving(tmp_path, server.url).returncode == 0
            assert (snapshots[0] / name).exists()


def test_the_hub_is_told_from_its_absence_without_a_model():
    assert hub_module.find_hub_problem() == "HF_HUB_OFFLINE is set"  # the tests' own environment
