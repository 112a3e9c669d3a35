import inspect

import pytest

from sentiment_batch import errors
from sentiment_batch.errors import InputError, OutputError, SentimentBatchError, UsageError, first_line, listed


def test_every_error_is_caught_as_the_project_s_own():
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]
    assert len(kinds) == 8
    assert all(issubclass(kind, SentimentBatchError) for kind in kinds)


def test_wrong_usage_exits_with_2_a_gate_with_3_others_with_1():
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]
    assert {kind.__name__: kind.exit_code for kind in kinds if kind.exit_code != 1} == {"UsageError": 2, "GateError": 3}
    assert UsageError.exit_code == 2


def test_the_tree_in_the_module_docstring_names_every_error():
    kinds = [name for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]
    assert [name for name in kinds if name not in (errors.__doc__ or "")] == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [("txt", "text"), ("reviews", "review"), ("REVIEW", "review"), ("Text", "text")],
)
def test_a_missing_column_names_the_one_that_was_probably_meant(name, meant):
    message = str(InputError.no_column(name, ["id", "Next", "text", "review"], "text_column"))
    assert f"no column {name!r}; did you mean {meant!r}?" in message
    assert message.endswith("Name one with `text_column`.")


def test_a_missing_column_like_no_other_only_lists_what_is_there():
    message = str(InputError.no_column("sentiment", ["a", "b"], "label_column"))
    assert message == "no column 'sentiment'. The columns are 'a', 'b'. Name one with `label_column`."


def test_an_existing_destination_names_the_replacing_setting():
    error = OutputError.exists("out.csv")
    assert str(error).startswith("out.csv exists already.")
    assert "`overwrite=True`" in str(error)
    assert error.settings == ("overwrite",)


@pytest.mark.parametrize(
    ("message", "settings"),
    [
        ("`decimals` is 9; it must lie between 0 and 7.", ("decimals",)),
        ('Keep such rows with `on_bad_row="mark"`.', ("on_bad_row",)),
        ("`skip_rows=2` or `max_length=128`, but not `skip_rows`.", ("skip_rows", "max_length")),
        ("a message about 'a file' that names no setting", ()),
        ("`two words` and `--option` are no settings", ()),
    ],
)
def test_settings_are_the_names_in_backquotes(message, settings):
    assert SentimentBatchError(message).settings == settings


def test_long_lists_are_cut_and_count_the_rest():
    assert listed(str(n) for n in range(1_014)).endswith("'10', '11' and 1,002 more")
    assert listed(["a", "b"], 1) == "'a' and 1 more"
    assert listed([]) == "none at all"
    assert listed(["x" * 5_000, "y"]) == f"'{'x' * 80}…', 'y'"


def test_errors_of_others_are_quoted_in_one_line():
    assert first_line(ValueError("one\n  two\t three")) == "one two three"
    assert first_line(ValueError()) == "ValueError"
    assert first_line(ValueError("xy " * 1_000)) == ("xy " * 133).strip()
    assert first_line(ValueError("x" * 1_000)) == "ValueError", "a part of a word may be a part of a secret"


def test_an_error_without_a_message_is_named_by_its_type():
    class Mute(Exception):
        def __str__(self):
            raise ZeroDivisionError

    assert first_line(Mute()) == "Mute"
