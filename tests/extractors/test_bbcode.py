"""BBCode of mods.de: what is text, what is quoted, what is linked."""

import pytest

from extractors.bbcode import words
from extractors.platform import Words

CASES = {
    "plain :D 8|": Words("plain :D 8|", [], []),
    "[B]bold[/b] [i]and[/I] [m]mono[/m]": Words("bold and mono", [], []),
    '[quote=4711,1001,"Alice"][b]her words[/b][/quote]mine': Words("mine", ["1001"], []),
    '[QUOTE=4711,1001,"[Höhlen]mensch, der"]x[/QUOTE]mine': Words("mine", ["1001"], []),
    '[quote=1,2,"A"]a[quote=1,3,"B"]b[/quote]c[/quote]mine': Words("mine", ["2"], []),
    "[quote]nobody's[/quote]mine": Words("mine", [], []),
    '[quote=oops]x[/quote][quote=1,2,"A"]y[/quote]': Words("", ["2"], []),
    '[quote=1,2,"A"]never closed': Words("never closed", ["2"], []),
    "mine[/quote]too": Words("minetoo", [], []),
    "[url=http://example.org/a?b=1&c]here[/url]": Words("here", [], ["http://example.org/a?b=1&c"]),
    "[URL]example.org[/URL]": Words("example.org", [], ["http://example.org"]),
    "[url='/bb/thread.php?TID=1']x[/url]": Words("x", [], ["http://forum.mods.de/bb/thread.php?TID=1"]),
    "[img]./img/a.gif[/img][img][/img][img]data:image/png;base64,AA[/img]": Words(
        "", [], ["http://forum.mods.de/bb/img/a.gif"]
    ),
    "[img=text]//cdn.example/a.png[/img]": Words("", [], ["http://cdn.example/a.png"]),
    "[url=http://a.example][img]http://b.example/i.png[/img][/url]": Words(
        "", [], ["http://a.example", "http://b.example/i.png"]
    ),
    "[video autoplay]https://youtu.be/x[/video]": Words("", [], ["https://youtu.be/x"]),
    '[code][b]literal[/b][quote=1,2,"A"]x[/quote][/code]': Words('[b]literal[/b][quote=1,2,"A"]x[/quote]', [], []),
    "[tex]\\frac[1][2][/tex] [code]open": Words("\\frac[1][2] open", [], []),
    "[list=1][*]one[*]two[/list]": Words("- one\n- two", [], []),
    "[table border=1]a[||]b[--]c[/table]": Words("a\tb\nc", [], []),
    "[spoiler]s[/spoiler][mod]m[/mod][trigger]t[/trigger]": Words("smt", [], []),
    "[unknown]stays[/unknown] [1]": Words("[unknown]stays[/unknown] [1]", [], []),
    "bare http://example.org/x.": Words("bare http://example.org/x.", [], ["http://example.org/x"]),
    '[quote=1,2,"A"][url=http://quoted.example]x[/url][/quote]': Words("", ["2"], []),
    "a\nb": Words("a\nb", [], []),
    "": Words("", [], []),
}


@pytest.mark.parametrize("source", CASES)
def test_bbcode(source: str) -> None:
    assert words(source) == CASES[source]


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "part", ["[quote]", '[quote=1,1,"', "[", "[code]", "[b][/quote]", "[url]", "[img=", '[quote=1,2,"A"]']
)
def test_no_post_takes_long(part: str) -> None:
    words(part * (15_000 // len(part)))
