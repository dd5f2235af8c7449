"""Text of users in LaTeX, where it prints as it stands."""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby

from reports.formats import one_line
from reports.latex.widths import ACCENTS, ideograph, width

# Brackets and stars are braced because `\\` would take them as its argument at the start of a row.
SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "#": r"\#",
    "%": r"\%",
    "&": r"\&",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    '"': "''",
    "`": r"\textasciigrave{}",
}
SYMBOLS = {
    "−": "$-$",
    "–": "--",
    "—": "---",
    "…": r"\dots{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "÷": r"$\div$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "≠": r"$\neq$",
    "≈": r"$\approx$",
    "∞": r"$\infty$",
    "→": r"$\to$",
    "←": r"$\gets$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "†": r"$^\dagger$",
    "‡": r"$^\ddagger$",
    "°": r"$^\circ$",
    "²": "$^2$",
    "✓": r"\ablationcmark{}",
    "✗": r"\ablationxmark{}",
    "★": r"$\star$",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "«": r"$\ll$",
    "»": r"$\gg$",
    "¡": r"!`",
    "¿": r"?`",
    "§": r"\S{}",
    "¶": r"\P{}",
    "©": r"\copyright{}",
    "®": r"\textregistered{}",
    "™": r"\texttrademark{}",
    "£": r"\pounds{}",
    "¥": r"\textyen{}",
    "¬": r"$\neg$",
    "¹": "$^1$",
    "½": r"$\frac{1}{2}$",
    "¼": r"$\frac{1}{4}$",
    "¾": r"$\frac{3}{4}$",
    "€": r"\texteuro{}",
    "ß": r"\ss{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
    "³": "$^3$",
    "√": r"$\surd$",
    "Δ": r"$\Delta$",
    "Σ": r"$\Sigma$",
    "Ω": r"$\Omega$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "δ": r"$\delta$",
    "ε": r"$\varepsilon$",
    "ζ": r"$\zeta$",
    "η": r"$\eta$",
    "θ": r"$\theta$",
    "κ": r"$\kappa$",
    "λ": r"$\lambda$",
    "µ": r"$\mu$",  # the micro sign
    "\u03bc": r"$\mu$",  # the Greek letter
    "ν": r"$\nu$",
    "ξ": r"$\xi$",
    "π": r"$\pi$",
    "ρ": r"$\rho$",
    "σ": r"$\sigma$",
    "τ": r"$\tau$",
    "φ": r"$\varphi$",
    "χ": r"$\chi$",
    "ψ": r"$\psi$",
    "ω": r"$\omega$",
}
NOTHING = "\u200b"
REPLACEMENTS = SPECIAL | SYMBOLS | {NOTHING: "{}"}
BREAKABLE = frozenset("(,=_/-.:;)+")  # after these a long name may go on in the next line
LONGEST = 60.0  # points at 10 pt without such a place; a longer name may break anywhere
PROSE = re.compile(r"\W{0,2}[A-Za-z]?[a-z]{0,17}\W{0,3}")  # words that LaTeX hyphenates by itself


def escape(text: str, *, breaks: bool = False) -> str:
    """Return text that LaTeX prints as it stands, in a paragraph or a table cell.

    Characters that no font of pdfLaTeX has stand in macros of the preamble, which print them where they can. With
    `breaks`, long names may go on in the next line.
    """
    text = one_line(text)
    text = re.sub(r"(?<![\w')}\]])'(?=\S)", "‘", text)
    # Dashes that a user typed must not melt into longer ones, nor a space before % end a line.
    text = re.sub("(?<=-)(?=-)", NOTHING, text)
    return "".join(_replaced(run) for run in _runs(text, breaks=breaks)).replace(r" \%", r"\,\%")


def key(name: str) -> str:
    r"""Return a name in the characters that `\label` and file names accept everywhere; others by their code."""
    letters = (character for character in unicodedata.normalize("NFKD", name) if not unicodedata.combining(character))
    return "".join(map(_key, letters)).strip("-.") or "study"


def _key(character: str) -> str:
    if not character.isascii():
        return f"{ord(character):04x}"
    return character if character.isalnum() or character in "-." else "-"


def _runs(text: str, *, breaks: bool) -> list[str]:
    """Split text into characters, ideographs that stand together, and places where a line may end."""
    runs: list[str] = []
    for word in re.split(r"( )", text):
        long = breaks and width(word) > LONGEST and not PROSE.fullmatch(word)
        since = 0.0
        for known, group in groupby(word, key=ideograph):
            characters = list(group)
            if known and not long:
                runs.append("".join(characters))
                continue
            for character in characters:
                if long and since and since + width(character) > LONGEST:
                    runs.append("")
                    since = 0.0
                runs.append(character)
                since += width(character)
                if long and character in BREAKABLE:
                    runs.append("")
                    since = 0.0
    return runs


def _replaced(run: str) -> str:
    if not run:
        return r"\allowbreak{}"
    if ideograph(run[0]):
        return rf"\ablationcjk{{{run}}}{{{_codes(run)}}}"
    if run in REPLACEMENTS:
        return REPLACEMENTS[run]
    if run.isascii():
        return run
    letter, *accents = list(unicodedata.normalize("NFD", run))
    if letter.isascii() and letter.isalpha() and accents and all(accent in ACCENTS for accent in accents):
        for accent in accents:
            letter = rf"\{ACCENTS[accent]}{{{letter}}}"
        return letter
    return rf"\ablationother{{{run}}}{{{_codes(run)}}}"


def _codes(run: str) -> str:
    return " ".join(f"U+{ord(character):04X}" for character in run)
