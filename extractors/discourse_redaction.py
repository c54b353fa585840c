"""What Discourse shows of people in posts of others and in topics, and how it is taken out."""

import re
from html import unescape
from typing import TYPE_CHECKING

from extractors.erasure import NOBODY, cut
from extractors.platform import Entity, Record

if TYPE_CHECKING:
    from extractors.erasure import Those

ASIDE, ASIDE_END = re.compile(r"<aside\b[^>]*>"), re.compile(r"</aside>")
SAID = re.compile(r'data-(username|post|topic)="([^"]*)"')
QUOTE, QUOTE_END = re.compile(r'\[quote(?:="?([^"\],]*)([^\]]*))?\]'), re.compile(r"\[/quote\]")
PLACE = re.compile(r"\b(post|topic):(\d+)")
MENTION = re.compile(r"(?<![\w/@])@([\w-]+(?:\.[\w-]+)*)")
PROFILE = re.compile(r"/u/([\w-]+(?:\.[\w-]+)*)")
TITLES = (
    "title",
    "fancy_title",
    "slug",
    "excerpt",
    "image_url",
    "featured_link",
    "topic_title",
    "topic_slug",
    "user_id",
)


def redact(entity: Entity, record: Record, those: "Those", opened: bool) -> Record:
    """See `Platform.redact`."""
    found = dict(record)
    if entity == "threads":
        posters = record.get("posters") or []
        begun = [one for one in posters if "Original Poster" in str(one.get("description"))]
        opened = opened or any(those.author(one.get("user_id")) for one in begun) or those.author(record.get("user_id"))
        if posters:
            found["posters"] = [one for one in posters if not those.author(one.get("user_id"))]
        if those.name(record.get("last_poster_username")):
            found["last_poster_username"] = None
        for name, person in (record.get("details") or {}).items():
            if name in ("created_by", "last_poster", "participants"):
                found["details"] = found["details"] | {name: _left(person, those)}
        if opened:
            found |= {name: None for name in TITLES if name in record}
        return found
    if opened:
        found |= {name: None for name in TITLES if name.startswith("topic_") and name in record}
    for name in ("reply_to_user", "mentioned_users"):
        if record.get(name):
            found[name] = _left(record[name], those)
    for name in ("raw", "cooked", "excerpt"):
        if record.get(name):
            found[name] = _spoken(record[name], those)
    return found


def _left(people: object, those: "Those") -> object:
    """A person, or a list of them, without those."""
    if isinstance(people, list):
        return [one for one in people if _left(one, those) is not None]
    if isinstance(people, dict) and (those.name(people.get("username")) or those.author(people.get("id"))):
        return None
    return people


def _spoken(text: str, those: "Those") -> str:
    """A text or its HTML, without what it quotes of them, and their names where it mentions them."""

    def aside(found: re.Match[str]) -> bool:
        said = dict(SAID.findall(found[0]))
        return those.name(unescape(said.get("username", ""))) or those.quoted(f"{said.get('topic')}/{said.get('post')}")

    def quote(found: re.Match[str]) -> bool:
        place = dict(PLACE.findall(found[2] or ""))
        return those.name(found[1]) or those.quoted(f"{place.get('topic')}/{place.get('post')}")

    text = cut(cut(text, ASIDE, ASIDE_END, aside), QUOTE, QUOTE_END, quote)
    text = MENTION.sub(lambda found: NOBODY if those.name(found[1]) else found[0], text)
    return PROFILE.sub(lambda found: "/u/" if those.name(found[1]) else found[0], text)
