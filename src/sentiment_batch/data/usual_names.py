"""The usual names of text and label columns, in English and other languages."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

_TEXTS = (
    "text review reviewtext reviewbody reviewcontent content body comment sentence tweet tweettext commenttext "
    "fulltext message feedback rezension bewertungstext rezensionstext kommentar avis commentaire texte contenu "
    "reseña resena comentario texto contenido opinión recensione commento testo contenuto comentário resenha conteúdo "
    "recensie tekst reactie recenzja komentarz opinia treść отзыв текст комментарий рецензия yorum yorummetni metin "
    "ulasan komentar teks kalimat 评论 评论内容 内容 评价内容 文本 评价 評論 內容 "
    "レビュー 口コミ 本文 テキスト 리뷰 댓글 내용 문장 document النص نص تعليق المراجعة مراجعة değerlendirme"
)
_LABELS = (
    "label sentiment target class stars star rating score labels sentiments polarity sentimentlabel labeltext "
    "labelname goldlabel groundtruth nps npsscore airlinesentiment ratings rate starrating reviewrating "
    "reviewscore overall overallrating grade opinion emotion stimmung polarität bewertung sterne punkte note "
    "étoiles etoiles polarité sentimiento polaridad puntuación puntuacion calificación calificacion valoración "
    "valoracion estrellas etiqueta sentimento voto stelle valutazione punteggio etichetta nota estrelas "
    "avaliação avaliacao classificação classificacao pontuação rótulo rotulo beoordeling sterren cijfer ocena "
    "sentyment тональность оценка рейтинг метка класс duygu etiket puan yıldız sentimen bintang nilai 标签 情感 "
    "情感标签 情感倾向 评分 星级 標籤 評分 ラベル 感情 評価 極性 라벨 레이블 감정 평점 별점 التصنيف تصنيف "
    "التقييم تقييم المشاعر"
)
TEXT_NAMES = tuple(_TEXTS.split())
"""Usual names of text columns, the most likely first, as `simplify_name` gives them."""
LONG_TEXT_NAMES = ("comments", "reviews", "messages", "feedbacks", "responses", "response", "tweets")
"""Names that decide among several columns of long texts, the most likely first. Such columns may hold counts, too."""
LABEL_NAMES = tuple(_LABELS.split())
"""Usual names of label columns, the most likely first."""
_LABEL_WORDS = frozenset(("label", "sentiment", "polarity", "rating", "stars", "opinion"))
"""Words in the names of other columns that may hold labels, such as `human_label`."""
_LAST = (
    "id ids uuid key date dates day month year time times timestamp datetime at on by from source sources origin count "
    "counts model version helpful votes verified weight length width variance"
)
_LAST_WORDS = frozenset(_LAST.split())
"""Last words of names of columns about a label, such as `rating_date`. Such columns hold no labels."""
_FIRST_WORDS = frozenset(("id", "date", "time", "number", "num", "count", "has"))
"""First words of such names, such as `date of rating`."""


def simplify_name(name: str) -> str:
    """A column's name in lower case without underscores, hyphens and spaces."""
    return re.sub("[_ -]", "", unicodedata.normalize("NFC", name).casefold())


def find_usual_name(names: Sequence[str], usual: Sequence[str]) -> str | None:
    """The first of `names` that is one of the `usual` names; the earlier of these have priority. None if none is."""
    simplified = {simplify_name(name): name for name in reversed(names)}
    return next((simplified[known] for known in usual if known in simplified), None)


def list_label_names(names: Iterable[str]) -> list[str]:
    """Those of `names` that may be label columns, the most likely first."""
    ranks = {known: rank for rank, known in enumerate(LABEL_NAMES)}
    likely = [name for name in names if simplify_name(name) in ranks or _may_be_label(name)]
    return sorted(likely, key=lambda name: ranks.get(simplify_name(name), len(ranks)))


def is_about_another(name: str) -> bool:
    """True if the last or first word of a column's name says that it holds no labels, as in `rating_date`."""
    # The name may end in a remark in brackets, so the last word before it counts, too
    words, outside = (_find_words(part) for part in (name, name.partition("(")[0]))
    ends_so = not _LAST_WORDS.isdisjoint([*words[-1:], *outside[-1:]])
    return ends_so or not _FIRST_WORDS.isdisjoint(words[:1])


def _may_be_label(name: str) -> bool:
    return not _LABEL_WORDS.isdisjoint(_find_words(name)) and not is_about_another(name)


def _find_words(name: str) -> list[str]:
    return [word.casefold() for word in re.findall("[A-Z]?[a-z]+|[A-Z]+", name)]
