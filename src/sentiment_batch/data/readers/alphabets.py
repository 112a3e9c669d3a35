"""What common letters and marks of the world's scripts are, for telling text from the wrong encoding's noise."""

from __future__ import annotations

LATIN = tuple(
    frozenset(letters)
    for letters in (
        "éèàùâêîôûçëïüœæÉÈÀÊÇŒ",  # French
        "äöüßÄÖÜ",  # German, Finnish, Estonian in part
        "áéíóúñüÁÉÍÓÚÑ",  # Spanish
        "ãõáéíóúâêôçàÃÕÁÉÍÓÚÇ",  # Portuguese
        "àèéìòùÀÈÉÌÒÙ",  # Italian
        "åäöæøÅÄÖÆØé",  # the North
        "áéíóúýþæöðÁÉÍÓÚÝÞÆÖÐ",  # Icelandic
        "éëïóèöüê",  # Dutch
        "ąćęłńóśźżĄĆĘŁŃÓŚŹŻ",  # Polish
        "áčďéěíňóřšťúůýžľĺŕôäÁČĎÉĚÍŇÓŘŠŤÚŮÝŽĽ",  # Czech, Slovak
        "áéíóöőúüűÁÉÍÓÖŐÚÜŰ",  # Hungarian
        "ăâîșțşţĂÂÎȘȚŞŢ",  # Romanian
        "čćđšžČĆĐŠŽ",  # Croatian, Slovene
        "çğıöşüÇĞİÖŞÜâ",  # Turkish
        "āčēģīķļņšūžąęėįųõäöüĀČĒĢĪĶĻŅŠŪŽĄĘĖĮŲ",  # the Baltic
    )
)
"""The letters beyond a to z of languages in Latin letters."""

CYRILLIC = frozenset("абвгдежзийклмнопрстуфхцчшщъыьэюяёіїєґўАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯЁІЇЄҐЎђјљњћџЂЈЉЊЋЏ")
GREEK = frozenset("αβγδεζηθικλμνξοπρστυφχψωςάέήίόύώϊϋΐΰΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΆΈΉΊΌΎΏ")

FREQUENT = frozenset(
    "оеаинтсрвлкм"  # about three letters in four of Russian
    "αοιετνσηρκπς"
    "יוהלאתרבמש"
    "اليمنترب"
    "านรอกเงคมล"
    "的一是不了在人有我他这个们中来上大和说到要就出会可也你对很好没看片电影剧"
    "這個們來說會對沒電劇為時後還過"
    "이다는을의에가고한하지은도로사그리기나를서만있어아요었영화보정진너무재미"
)
"""Letters that together make up a good part of running text in their scripts."""

MARKS = frozenset("“”‘’„‚–—…•«»€£¥°·¿¡©®™§½¼¾×²³´№、。「」『』！？：；，．（）《》～·・ー　\u00a0\u00ad\u2028\ufeff")
"""Signs that stand in texts of any script."""

_SCRIPTS = (
    (0x00C0, 0x024F, "latin"),
    (0x1E00, 0x1EFF, "latin"),
    (0x0370, 0x03FF, "greek"),
    (0x0400, 0x04FF, "cyrillic"),
    (0x0590, 0x05FF, "hebrew"),
    (0x0600, 0x06FF, "arabic"),
    (0x0E00, 0x0E7F, "thai"),
    (0x3040, 0x30FF, "kana"),
    (0xFF66, 0xFF9F, "half kana"),
    (0x4E00, 0x9FFF, "han"),
    (0xAC00, 0xD7A3, "hangul"),
)


def find_script(character: str) -> str | None:
    """The script that a character beyond ASCII is a letter of, None where it is a sign or a rare one."""
    code = ord(character)
    if character in "×÷":
        return None
    return next((script for first, last, script in _SCRIPTS if first <= code <= last), None)
