"""Known words of sentiment in several languages. They decide the order of classes; a class keeps its own name."""

from __future__ import annotations

from collections.abc import Iterable

from sentiment_batch.labels.values import normalize_word

WORD_ORDER = ("very negative", "negative", "neutral", "mixed", "positive", "very positive")
"""The meanings of known words from worst to best. Columns with other words have their classes in alphabetical order."""
_WORDS = {
    "very negative": "terrible,horrible,awful,worst,sehr schlecht,很差,非常差,極差",
    "negative": (
        "bad,poor,schlecht,malo,mala,mauvais,cattivo,ruim,slecht,zły,zła,kötü,плохо,плохой,плохая,差,悪い,나쁨,سيئ,"
        "negativ,negativo,negativa,negatif,négatif,négative,negatief,negatywny,negatywna,olumsuz,buruk,"
        "негативный,негативная,отрицательный,отрицательная,негатив,负面,消极,負面,負,ネガティブ,否定的,부정,부정적,"
        "سلبي,سلبية,नकारात्मक,thumbs down,down,dislike,disliked,not recommended,unhappy,dissatisfied,disagree,"
        "detractor,detractors,差评,差評,👎,😞,😠,😡,☹,🙁,😢"
    ),
    "neutral": (
        "neutre,neutro,neutra,neutraal,neutralny,netral,nötr,tarafsız,нейтральный,нейтральная,нейтрально,中性,中立,"
        "中评,中評,一般,普通,ニュートラル,중립,중립적,محايد,तटस्थ,ok,okay,average,passive,passives,😐"
    ),
    "mixed": "gemischt,mixte,mixto,misto,смешанный",
    "positive": (
        "good,great,gut,bueno,buena,bon,buono,bom,goed,dobry,dobra,iyi,хорошо,хороший,хорошая,好,良い,좋음,جيد,"
        "positiv,positivo,positiva,positif,positive,positief,pozytywny,pozytywna,pozitif,olumlu,baik,"
        "позитивный,позитивная,положительный,положительная,позитив,正面,积极,積極,正,ポジティブ,肯定的,긍정,긍정적,"
        "إيجابي,إيجابية,ايجابي,सकारात्मक,thumbs up,up,like,liked,recommended,happy,satisfied,agree,"
        "promoter,promoters,好评,好評,👍,😀,😃,😊,🙂,😍"
    ),
    "very positive": "excellent,outstanding,perfect,best,ausgezeichnet,很好,非常好,極好",
}
_DEGREES = frozenset(("very", "extremely", "strongly", "highly", "muy", "sehr", "très", "molto", "muito", "çok"))
_MEANINGS = {normalize_word(word): meaning for meaning in _WORDS for word in (meaning, *_WORDS[meaning].split(","))}


def find_meaning(word: str) -> str | None:
    """The one of `WORD_ORDER` that `word` means, such as `negative` for `negativ`; None if the word is unknown."""
    # A degree, such as "very" or "sehr", before a known word. Only the two ends have degrees.
    degree, _, rest = normalize_word(word).partition(" ")
    if degree in _DEGREES and (meaning := _MEANINGS.get(normalize_word(rest))) in {"negative", "positive"}:
        return f"very {meaning}"
    return _MEANINGS.get(normalize_word(word))


def find_side(label: str) -> str:
    """`negative`, `neutral` or `positive`, whatever the language and the degree; an unknown word as it is."""
    meaning = find_meaning(label)
    return normalize_word(label) if meaning is None else meaning.removeprefix("very ").replace("mixed", "neutral")


def name_both_sides(words: Iterable[str]) -> bool:
    """True if some of the words mean negative, and others positive."""
    return {"negative", "positive"} <= set(map(find_side, words))


def order_words(words: Iterable[str]) -> list[str]:
    """`words` from worst to best if all are known, else in alphabetical order."""
    known = list(words)
    ranks = {word: _find_rank(meaning, word) for word in known if (meaning := find_meaning(word)) is not None}
    # One unknown word is enough: its place between the known ones is not known
    return sorted(known, key=lambda word: (ranks[word] if len(ranks) == len(known) else 0, word))


def _find_rank(meaning: str, word: str) -> float:
    """The place of a word on the scale. `excellent` comes after `very good`, and `terrible` before `very bad`."""
    beyond = normalize_word(word) in _MEANINGS and meaning.startswith("very ")
    return WORD_ORDER.index(meaning) + (0.5 if meaning == WORD_ORDER[-1] else -0.5) * beyond
