"""Widths of text, in the fonts of LaTeX and in the sizes of tables."""

from __future__ import annotations

import unicodedata

# (command, points of a figure in Computer Modern at that size, over those at 10 pt); small sizes run wide.
SIZES = ((r"\small", 0.93), (r"\footnotesize", 0.86), (r"\scriptsize", 0.80))
MARGIN = 1.03  # for what is estimated too narrow

# Combining characters, and the accent that LaTeX's first encoding has for each.
ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u", "\u0307": ".",
    "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0323": "d", "\u0327": "c",
}  # fmt: skip

# Thousandths of an em, of Computer Modern or Times, whichever is wider.
_WIDTHS = (
    ("ijl!'.,:;|` ", 300),
    ("frst()[]-/\\", 400),
    ("acez", 455),
    ("0123456789oIJ", 500),
    ('bdghknpquvxy_$*?#"{}', 560),
    ("EFLPSTZw", 700),
    ("+<>=~^−±×≈≤≥→", 790),
    ("mMW%@&—", 1000),
)
KNOWN = frozenset("–†✓✗★Δ↑↓°²³µ…‘’“”«»¡¿§¶©®™£¥¬¹½¼¾€ßøØæÆœŒłŁıαβγδεζηθκλμνξπρσφχψωΣΩ∞√→←÷·‡")
_WIDTH_OF = {character: width for characters, width in _WIDTHS for character in characters}


def width(text: str) -> float:
    """Return about how wide text is at 10 points, in points."""
    return sum(_character(character) for character in text) / 100


def _character(character: str) -> float:
    if character in _WIDTH_OF:
        return _WIDTH_OF[character]
    if character.isascii():
        return 790
    if character == "\u200b" or unicodedata.combining(character):
        return 0
    if ideograph(character):
        return 1000
    base, *accents = list(unicodedata.normalize("NFD", character))
    if base.isascii() and base.isalpha() and all(accent in ACCENTS for accent in accents):
        return _character(base)
    if character in KNOWN:
        return 1000
    return 4300 if ord(character) < 0x10000 else 5300  # its code in brackets


def ideograph(character: str) -> bool:
    """Tell whether a character is one that the Chinese font of pdfLaTeX has."""
    if unicodedata.east_asian_width(character) not in "WF":
        return False
    try:
        return bool(character.encode("gb2312"))
    except UnicodeEncodeError:
        return False
