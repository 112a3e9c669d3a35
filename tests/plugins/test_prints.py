"""What plugins print goes to standard error, from any thread, and nothing else does."""

from __future__ import annotations

import io
import threading

import pytest

from sentiment_batch.cli.streams import OutputStream
from sentiment_batch.data.plugin_guards import PluginGuard
from sentiment_batch.plugins.prints import is_plugin_running, mark_plugin_call


def test_a_plugin_s_words_do_not_mix_with_a_table(capsys):
    taken = io.BytesIO()
    output = OutputStream(taken, encoding="utf-8", write_through=True)
    print("one", file=output)
    with PluginGuard(name="sheets", location="a.sheet").translate_errors():
        print("a word of the plugin", file=output)
    print("two", file=output)
    assert taken.getvalue() == b"one\ntwo\n"
    assert capsys.readouterr().err == "a word of the plugin\n"


def test_a_plugin_may_write_the_table_to_standard_output():
    with PluginGuard(name="sheets", location="-").translate_errors():
        assert not is_plugin_running()


def test_other_threads_are_not_taken_for_the_plugin():
    found = []
    with mark_plugin_call(), mark_plugin_call():
        thread = threading.Thread(target=lambda: found.append(is_plugin_running()))
        thread.start()
        thread.join()
        assert is_plugin_running()
    assert (found, is_plugin_running()) == ([False], False)


def test_an_error_ends_the_mark():
    with pytest.raises(ZeroDivisionError), mark_plugin_call():
        raise ZeroDivisionError
    assert not is_plugin_running()
