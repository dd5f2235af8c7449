import pytest

from reports.latex.escape import escape, key


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CBAM_k7", r"CBAM\_k7"),
        ("50%", r"50\%"),
        ("95 % interval", r"95\,\% interval"),
        ("$#&", r"\$\#\&"),
        ("~^\\", r"\textasciitilde{}\textasciicircum{}\textbackslash{}"),
        ("<0.001>", "$<$0.001$>$"),
        ("{a}", r"\{a\}"),
        ("[1, 2]", "{[}1, 2{]}"),
        ("*", "{*}"),
        ("Δ ± − – ×", r"$\Delta$ $\pm$ $-$ -- $\times$"),
        ("--- x", "-{}-{}- x"),
        ("is 'se' Holm's", "is `se' Holm's"),
        ("two\nlines", "two lines"),
        ("é ł ß Ångström", r"\'{e} \l{} \ss{} \r{A}ngstr\"{o}m"),
        ("se 注意力", r"se \ablationcjk{注意力}{U+6CE8 U+610F U+529B}"),
        ("😀 ж", r"\ablationother{😀}{U+1F600} \ablationother{ж}{U+0436}"),
        ("✓✗★", r"\ablationcmark{}\ablationxmark{}$\star$"),
    ],
)
def test_text_is_escaped(text, expected):
    assert escape(text) == expected


def test_a_long_name_may_go_on_in_the_next_line_and_a_short_one_stays_whole():
    assert escape("coordinate(reduction=8)", breaks=True) == (
        r"coordinate(\allowbreak{}reduction=\allowbreak{}8)\allowbreak{}"
    )
    assert escape("X" * 16, breaks=True).count(r"\allowbreak{}") == 2
    assert escape("group(4)", breaks=True) == "group(4)"
    assert escape("(reproducibility).", breaks=True) == "(reproducibility)."


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("50% #1_b", "50---1-b"),
        ("注意力", "6ce8610f529b"),
        ("café-1.5:x", "cafe-1.5-x"),
        ("../-x", "x"),
        ("#", "study"),
    ],
)
def test_a_key_has_only_characters_that_ref_and_file_systems_accept(name, expected):
    assert key(name) == expected
