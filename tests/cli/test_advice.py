"""Errors of a command advise only options that the command has, whatever is wrong with the model."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from sentiment_batch.cli import group
from tests.cli.helpers import CPU
from tests.stock_models import edit_json

COMMANDS = {
    "predict": ("great",),
    "score": ("{table}", "{out}"),
    "evaluate": ("{table}",),
    "explain": ("great",),
    "bench": ("{table}",),
}
ADAPTER = {"base_model_name_or_path": "somebody/base"}


def spoil(folder, fault):
    """Give a model folder a fault."""
    if fault == "nameless labels":
        edit_json(folder, "config.json", id2label={"0": "LABEL_0", "1": "LABEL_1"}, label2id=None)
    elif fault == "labels of one name":
        edit_json(folder, "config.json", id2label={"0": "good", "1": "good"}, label2id=None)
    elif fault == "an adapter":
        (folder / "model.safetensors").unlink()
        (folder / "adapter_config.json").write_text(json.dumps(ADAPTER))
    elif fault == "an encoder":
        edit_json(folder, "config.json", architectures=["DistilBertModel"], id2label={"0": "a", "1": "b", "2": "c"})
    elif fault == "a wrong length":
        (folder / "sentiment_batch.json").write_text('{"labels": {}, "text": {"max_length": -1}}')


@pytest.mark.parametrize(
    "fault",
    [
        *("nameless labels", "labels of one name", "an adapter", "an encoder", "a wrong length"),
        *("sentimnet-model", "somebody/else", "./nowhere", "~nosuch/x", "minilmm", "not a name!"),
    ],
)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_advises_only_what_it_has(cli, tiny_model, reviews_csv, tmp_path, name, fault):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    spoil(folder, fault)
    model = folder if " " in fault and "!" not in fault else fault
    words = [word.format(table=reviews_csv, out=tmp_path / "out.csv") for word in COMMANDS[name]]
    result = cli(name, *words, "-m", model, *CPU)
    assert result.exit_code == 1, result.output
    message = result.stderr.splitlines()[-1]
    assert message.startswith("Error: ")
    assert "`" not in message, "a setting that is no option of the command"
    known = {flag for parameter in group.commands[name].params for flag in parameter.opts}
    assert set(re.findall(r"--[a-z][a-z-]+", message)) <= known
    assert "minilm" not in message.replace("'minilmm'", "")
