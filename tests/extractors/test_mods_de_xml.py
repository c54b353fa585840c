"""What mods.de sends is read in spite of its encoding, and no document can do harm."""

import pytest

from extractors.mods_de_profile import fields, html, moment, profile, tags
from extractors.mods_de_xml import DEEPEST, flat, many, parse, repaired
from sandbox.mods_de_text import people, thread_page
from sandbox.mods_de_text import profile as profile_page
from sandbox.mods_de_xml import mangle

HEAD = '<?xml version="1.0" encoding="utf-8" ?>'


@pytest.mark.parametrize(
    ("sent", "meant"),
    [("5 ¤", "5 €"), ("¦¨´¸¼½¾", "ŠšŽžŒœŸ"), ("&#8364;&#x20AC;&#26481;", "€€東"), ("&amp; &lt; é°§", "&amp; &lt; é°§"),
     ("&#99999999; &#xD800; &#;", "&#99999999; � &#;"), ("&#128;", "€"), ("&#164;", "¤")],
)  # fmt: skip
def test_texts_are_repaired(sent: str, meant: str) -> None:
    assert repaired(sent) == meant


@pytest.mark.parametrize("text", ["ŠšŽžŒœŸ€", "½¼¾¤¦¨´¸", "東京 🙂 Łódź", "naïve Käse – …", "<&>\"'", ""])
def test_whatever_was_meant_comes_back(text: str) -> None:
    assert repaired(mangle(text)) == text


def test_an_element_is_a_dict_by_name_with_nothing_lost() -> None:
    body = (
        HEAD + "<thread id='7'><title><![CDATA[a <b> &amp;]]></title><subtitle/><n value='3'/>"
        "<posts count='2'>\n <post id='1'><user id='2'>Ü</user></post><post id='3'/>\n</posts></thread>"
    )
    name, record = parse(body.encode())
    assert (name, record) == ("thread", {
        "id": "7", "title": "a <b> &amp;", "subtitle": "", "n": {"value": "3"},
        "posts": {"count": "2", "post": [{"id": "1", "user": {"id": "2", "text": "Ü"}}, {"id": "3"}]},
    })  # fmt: skip
    assert [post["id"] for post in many(record, "posts", "post")] == ["1", "3"]
    assert (
        flat(many(record, "posts", "post")[0]) == {"id": "1", "user_id": "2", "user": "Ü"} and flat(record)["n"] == "3"
    )
    assert many({"posts": {"post": {"id": "1"}}}, "posts", "post") == [{"id": "1"}] and many({}, "posts", "post") == []


def test_bytes_that_xml_forbids_are_dropped() -> None:
    body = b"\xef\xbb\xbf" + HEAD.encode() + b"<a><![CDATA[x\x00\x0b\x1f\ty\xff]]></a>"
    assert parse(body) == ("a", {"text": "x\ty�"})
    assert parse(HEAD.replace("utf-8", "iso-8859-1").encode() + "<a>ü</a>".encode()) == ("a", {"text": "ü"})


@pytest.mark.parametrize(
    "body",
    [
        '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><a>&c;</a>',
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><a>&b;</a>',
        '<!DOCTYPE a SYSTEM "http://elsewhere.example/a.dtd"><a/>',
        "<a>" * (DEEPEST + 1) + "</a>" * (DEEPEST + 1),
        "<a>&undeclared;</a>", "<a>", "", "no", "<a/><b/>", "<a b='1' b='2'/>",
    ],
)  # fmt: skip
def test_what_is_harmful_or_broken_is_refused(body: str) -> None:
    with pytest.raises(ValueError):
        parse(body.encode())


def test_a_profile_is_read_as_it_stands() -> None:
    person = next(person for person in people(1) if person.locked and person.seen)
    record = profile(html(profile_page(person).encode("iso-8859-15", "xmlcharrefreplace")), str(person.uid))
    assert record is not None
    assert (
        record["name"] == person.name and record["registered"] == person.joined and record["last_seen"] == person.seen
    )
    typed = fields(record)
    assert typed["is_locked"] is True and typed["locked_until"] == "2026-12-23T23:00:00+00:00"
    assert (typed["rank"], typed["bars"]) == ("Gruß & Kuß", "links o rechts")


def test_who_has_no_profile_has_none() -> None:
    assert profile("<html><body>Benutzer <b>99</b> nicht gefunden!</body></html>", "99") is None
    assert profile(profile_page(people(1)[0]), "12345") is None, "another user's, whose name is that number"
    with pytest.raises(ValueError, match="uid"):
        profile("<html>gateway</html>", "7")


def test_german_time_is_told_in_utc() -> None:
    assert moment("01.07.2006 12:30 Uhr") == "2006-07-01T10:30:00+00:00"
    assert moment("31.12.2006 00:10") == "2006-12-30T23:10:00+00:00"
    assert moment("privat") is None and moment(None) is None


def test_tags_of_a_thread() -> None:
    assert tags(thread_page(4711, ["Büro", "€uro"]), "4711") == ["Büro", "€uro"]
    assert tags(thread_page(4711, []), "4711") == tags(thread_page(4711, ["x"]), "5") == tags("", "1") == []
