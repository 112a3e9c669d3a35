import ast
import shlex

import pytest
import yaml

from sentiment_batch.model.card import build_model_card, escape_markdown

RESULT = {"rows": 1_234, "accuracy": 0.91236, "macro_f1": 0.9, "loss": 0.25}
META = {
    "version": "0.1.0",
    "base": "distilbert/distilbert-base-uncased",
    "labels": {"labels": ["negative", "positive"]},
    "text": {"max_length": 256, "long_text": "head-tail"},
    "settings": {"base": "x", "epochs": 4, "seed": 7, "batch_size": 16, "limit": None},
    "data": {"training_rows": 5_000, "classes": {"negative": 2_400, "positive": 2_600}, "mapping": "0 -> negative"},
    "best": {"step": 312, "epoch": 1.5},
    "metrics": {"validation": RESULT, "test": None},
}


def head(meta, name="reviews-model") -> dict:
    start, text, _ = build_model_card(meta, name).split("---\n", 2)
    assert start == ""
    return yaml.safe_load(text)


def test_the_head_names_the_base_and_the_results():
    card = head(META)
    assert card["base_model"] == "distilbert/distilbert-base-uncased"
    assert card["model-index"] == [
        {
            "name": "reviews-model",
            "results": [
                {
                    "task": {"type": "text-classification"},
                    "dataset": {"name": "validation rows", "type": "custom", "split": "validation"},
                    "metrics": [
                        {"type": "accuracy", "value": 0.9124},
                        {"type": "f1", "name": "macro F1", "value": 0.9},
                    ],
                }
            ],
        }
    ]


@pytest.mark.parametrize("name", ['"quoted": # [name]', "---", "ünï 😀", "a\\b"])
def test_the_head_can_be_read_whatever_the_folder_is_called(name):
    assert head(META, name)["model-index"][0]["name"] == name


def test_a_folder_as_base_is_no_model_of_the_hub(tmp_path, monkeypatch):
    (tmp_path / "bases" / "tiny").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for base in ("/data/base", "./a/base", "~/base", "bases/tiny"):
        assert "base_model" not in head(META | {"base": base})


def test_the_offline_encoder_is_named_as_on_the_hub():
    card = head(META | {"base": "minilm"})
    assert card["base_model"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert (card["license"], card["language"]) == ("apache-2.0", "en")


def test_licence_and_language_are_those_of_the_base(tmp_path):
    (tmp_path / "README.md").write_text("---\nlicense: mit\nlanguage: [de, en]\n---\nA base.\n")
    card = head(META | {"base": str(tmp_path)})
    assert (card["license"], card["language"]) == ("mit", ["de", "en"])
    for broken in ("no head", "---\n{\n---\n", "---\n- a list\n---\n"):
        (tmp_path / "README.md").write_text(broken)
        assert "license" not in head(META | {"base": str(tmp_path)})


def test_labels_and_names_are_no_markup():
    labels = ["*bold*", "a|b", "<script>", "under_score", "[link](x)"]
    meta = META | {"labels": {"labels": labels}, "data": META["data"] | {"classes": dict.fromkeys(labels, 1)}}
    card = build_model_card(meta, "a_b_c")
    assert r"\*bold\*, a\|b, \<script>, under\_score, \[link\](x)." in card
    assert "1 \\*bold\\*" in card
    assert "\n# a\\_b\\_c\n" in card


def test_a_state_without_results_yet_has_a_card_too():
    card = head(META | {"metrics": {}})
    assert not card.get("model-index")


def test_the_card_says_in_words_what_was_done():
    card = build_model_card(META, "reviews-model")
    for words in (
        "A sentiment classifier: negative, positive.",
        "| validation | 1,234 | 0.9124 | 0.9000 | 0.2500 |",
        "Data: 5,000 texts, 2,400 negative, 2,600 positive. Labels were read as: 0 -> negative.",
        "step 312, epoch 1.5",
        "Settings: epochs 4, seed 7, batch size 16.",
        "cuts texts of more than 256 tokens as in training (`head-tail`)",
        'pipeline("text-classification", model="reviews-model", truncation=True)',
    ):
        assert words in card


def test_names_with_braces_are_no_templates():
    meta = META | {"labels": {"labels": ["{name}", "b"]}}
    assert "A sentiment classifier: {name}, b." in build_model_card(meta, "m")


CALIBRATION = {
    "temperature": 1.375,
    "reason": "fitted on 2,500 validation rows",
    "before": {"calibration_error": 0.0612, "loss": 0.31},
    "after": {"calibration_error": 0.0123, "loss": 0.2899},
}


def test_the_card_says_how_the_model_was_calibrated_and_on_what():
    text = build_model_card(META | {"calibration": CALIBRATION}, "x")
    assert "a temperature of 1.375, fitted on 2,500 validation rows" in text
    assert "from 0.0612 to 0.0123, and their loss from 0.3100 to 0.2899" in text
    assert "These rows also chose the weights" in text
    kept = {"temperature": 1.0, "reason": "9 validation rows are too few"}
    assert "as they were trained, because 9 validation rows are too few." in build_model_card(
        META | {"calibration": kept}, "x"
    )
    assert "Calibration: none." in build_model_card(META | {"calibration": None}, "x")
    assert "Calibration: none." in build_model_card(META, "x")


@pytest.mark.parametrize("name", ["'q\" # - {y}", "two words", "a\nb", "<b>", "$HOME"])
def test_the_commands_of_the_card_work_for_any_folder_name(name):
    card = build_model_card(META, name)
    shell, python = (card.split(f"```{kind}\n")[1].split("```")[0] for kind in ("", "python"))
    assert shlex.split(shell)[-1] == name
    call = ast.parse(python).body[-1].value
    assert ast.literal_eval(call.keywords[0].value) == name
    assert f"\n# {escape_markdown(name)}\n" in card


def test_the_card_of_a_run_with_folds_says_what_the_weights_are():
    meta = META | {"data": META["data"] | {"folds": 5}}
    card = build_model_card(meta, "reviews-model")
    assert "Each of 5 folds was validated by a model that was not trained on it." in card
    assert "trained on all rows, for as many epochs: 4." in card
    assert "lowest validation loss" not in card


def test_the_card_says_that_the_model_learned_from_other_texts():
    found = {"kept": True, "sure": {"negative": 900, "positive": 1_100}, "unlabelled": {}, "ensemble": 3}
    card = build_model_card(META | {"self_training": found | {"unlabelled": {"texts": 5_000}}}, "m")
    assert "also learned from 2,000 unlabelled texts, by the predictions of an ensemble of 3." in card
    card = build_model_card(META | {"self_training": found}, "m")
    assert "also learned from the same texts, by the predictions of an ensemble of 3." in card
    assert "also learned" not in build_model_card(META | {"self_training": found | {"kept": False}}, "m")
