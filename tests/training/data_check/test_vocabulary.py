"""Texts in another language than the base's are noticed; English ones, with emoji and slang, are not."""

from __future__ import annotations

import pytest

from sentiment_batch.model import hub
from sentiment_batch.model.folder import load_tokenizer
from sentiment_batch.training.data_check.vocabulary import (
    VocabularyFit,
    add_vocabulary_fit,
    check_vocabulary_fit,
    measure_vocabulary_fit,
)

FOREIGN = {
    "German": "Leider war das Essen kalt und die Bedienung unfreundlich, die Lieferung hat viel zu lange gedauert.",
    "French": "Malheureusement le repas était froid et le service désagréable, je ne reviendrai pas.",
    "Polish": "Niestety jedzenie było zimne, a obsługa nieuprzejma, nie wrócę tam.",
    "Turkish": "Maalesef yemek soğuktu ve servis çok kötüydü, bir daha gelmem.",
    "Russian": "К сожалению, еда была холодной, а обслуживание грубым, больше не приду.",
    "Arabic": "للأسف كان الطعام باردا والخدمة سيئة ولن أعود مرة أخرى",
    "Chinese": "可惜饭菜是凉的,服务态度很差,我不会再来了。",
    "Japanese": "残念ながら料理は冷たく、サービスも悪かったので、もう行きません。",
    "Korean": "음식이 차갑고 서비스가 불친절해서 다시는 가지 않을 거예요.",
    "Hindi": "खाना ठंडा था और सेवा बहुत खराब थी, दोबारा नहीं आऊँगा।",
}
ENGLISH = {
    "reviews": "Sadly the food was cold and the service rude, so I will not come back.",
    "tweets": "@SouthernAir thx 4 nothing!! delayed 3hrs again 😡😡 #fail http://t.co/aBc1 smh lol",
    "emoji": "😍😍😍 love it 👍🏽 ❤️ so good 😀",
    "names": "Kieslowski's Trois Couleurs with Binoche is a masterpiece, and so is the music by Preisner.",
}


@pytest.fixture(scope="module")
def minilm():
    try:
        tokenizer = load_tokenizer(hub.resolve_model("minilm"))
    except hub.ModelError:
        pytest.skip("the extra `offline` is not installed")
    tokenizer.backend_tokenizer.no_truncation()  # as of a base
    tokenizer.backend_tokenizer.no_padding()
    return tokenizer


@pytest.mark.parametrize("language", FOREIGN)
def test_another_language_is_a_warning(minilm, language):
    (finding,) = add_vocabulary_fit({"findings": []}, minilm, [FOREIGN[language]] * 10)["findings"]
    assert finding["level"] == "warning"
    assert '`base="distilbert/distilbert-base-multilingual-cased"`' in finding["text"]
    (mixed,) = add_vocabulary_fit({"findings": []}, minilm, [FOREIGN[language], ENGLISH["tweets"][:20]] * 10)[
        "findings"
    ]
    assert mixed["level"] == "warning"


@pytest.mark.parametrize("kind", ENGLISH)
def test_english_is_no_finding(minilm, kind):
    assert add_vocabulary_fit({"findings": []}, minilm, [ENGLISH[kind]] * 20)["findings"] == []


def test_letters_alone_are_counted(minilm):
    backend, unknown = minilm.backend_tokenizer, minilm.unk_token_id
    fit = measure_vocabulary_fit(backend, ["12 😀 !? film", "unbelievableness"], unknown)
    assert (fit.tokens, fit.unknown) == (1 + len(backend.encode("unbelievableness", add_special_tokens=False).ids), 0)
    assert fit.continued == pytest.approx((fit.tokens - 2) / fit.tokens)
    assert measure_vocabulary_fit(backend, ["12 😀"], unknown) == VocabularyFit(tokens=0, unknown=0, continued=0)


@pytest.mark.parametrize(
    ("fit", "vocabulary", "found"),
    [
        ({"tokens": 49, "unknown": 1.0, "continued": 0.0}, 30_000, False),
        ({"tokens": 50, "unknown": 0.05, "continued": 0.0}, 120_000, True),
        ({"tokens": 50, "unknown": 0.04, "continued": 0.34}, 30_000, False),
        ({"tokens": 50, "unknown": 0.0, "continued": 0.35}, 30_000, True),
        ({"tokens": 50, "unknown": 0.0, "continued": 0.6}, 120_000, False),
    ],
)
def test_the_limits_of_a_finding(fit, vocabulary, found):
    assert bool(list(check_vocabulary_fit(VocabularyFit(**fit), vocabulary))) is found
