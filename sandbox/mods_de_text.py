"""What people write on mods.de: BBCode, as they meant it; and who they are, with their profiles."""

from dataclasses import dataclass
from random import Random

from sandbox import words

NAMES = ("Anna", "Björn", "[Höhlen]mensch", "Šárka", "Œuvre, die", "東京 Hase", "Kurt €", "o'Brien", "Liv & Ivo", "7")
SMILEYS = (":D", ":ugly:", "8|", ":bang:", "^^")
PEOPLE = 60


@dataclass(frozen=True)
class Person:
    """A user; `joined` and `seen` are German wall clock, as the profile shows them."""

    uid: int
    name: str
    locked: bool
    group: int
    joined: str
    seen: str | None


def people(seed: int) -> list[Person]:
    """The users of all boards."""
    rng = Random(f"{seed}/mods_de/people")
    found = []
    for uid in range(2, PEOPLE + 2):
        joined = (
            f"{rng.randint(1, 28):02}.{rng.randint(1, 12):02}.{rng.randint(2001, 2020)} {rng.randint(0, 23):02}:30 Uhr"
        )
        seen = None if rng.random() < 0.3 else f"31.10.2026 {rng.randint(0, 23):02}:15 Uhr"
        group = 6 if uid == 3 else 1 if uid == 2 else 3
        found.append(Person(uid, f"{rng.choice(NAMES)} {uid}", rng.random() < 0.05, group, joined, seen))
    return found


class Writer:
    """Writes BBCode with the plain text a reader ought to get, from a stock of 300 sentences."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._stock = [f"{sentence} {rng.choice(SMILEYS)}" for sentence in words.sentences(rng, 300)]

    def lead(self) -> str:
        return self._rng.choice(self._stock)

    def post(self, lead: str) -> str:
        blocks = [lead, *(self._block() for _ in range(self._rng.choice((0, 0, 1, 1, 2))))]
        return "\n\n".join(blocks)

    def quote(self, thread: int, post: int, name: str, text: str) -> str:
        return f'[quote={thread},{post},"{name}"][b]{text}[/b][/quote]\n'

    def _block(self) -> str:
        rng = self._rng
        first, second = rng.sample(self._stock, 2)
        return rng.choice((
            f"[B]{first}[/B] kostet 5 € in Łódź",
            f"Schau: [url={rng.choice(words.LINKS)}]hier[/url]",
            f"[URL]{rng.choice(words.LINKS)}[/URL]",
            f"[code]{words.CODE} [b]x[/b][/code]",
            "[img]./img/icons/icon7.gif[/img]",
            "[video autoplay]https://youtu.be/abcdefgh[/video]",
            f"[list=1][*]{first}[*]{second}[/list]",
            f"[spoiler]{second}[/spoiler]",
            f"[table border=1]{first}[||]{second}[--]a[||]b[/table]",
            f"[quote]{second}[/quote]{first}",
        ))  # fmt: skip


def profile(person: Person) -> str:
    """my.mods.de/<uid>"""
    name = person.name.encode("iso-8859-15", "xmlcharrefreplace").decode("iso-8859-15")
    rows = [
        ("Benutzername", name),
        ("Dabei seit", person.joined),
        ("Zuletzt im Board", person.seen or "<em>privat</em>"),
        ("Status", "offline"),
        ("Accountstatus", "gesperrt bis 24.12.2026" if person.locked else "aktiv"),
    ]
    table = "".join(
        f"<tr><td class='attrn'>{label}</td><td class='attrv'>{value}</td></tr><tr class='bar'><td></td></tr>"
        for label, value in rows
    )
    bars = "".join(
        f"<img alt='*' src='http://forum.mods.de/bb/img/rank/{bar}.gif'>" for bar in ("links", "o", "rechts")
    )
    return (
        f"<html xmlns='http://www.w3.org/1999/xhtml'><!-- UID {person.uid} --><body><div id='content'><table>{table}"
        f"</table><table><tr><td class='vam avatar'>{bars}</td></tr></table><span class='rang'>Gruß & Kuß</span>"
        f"</div></body></html>"
    )


def thread_page(thread: int, tags: list[str]) -> str:
    """thread.php?TID=, as far as anybody reads it."""
    links = ", ".join(f"<a href='thread_groups.php?name={tag}'>{tag}</a>" for tag in tags)
    return (
        f"<html><head><title>pOT & mehr</title></head><body><form action='search.php' method='post'><a href='x'>no</a>"
        f"</form><form action='thread.php?TID={thread}&set_thread_groups=1' method='post'>{links}</form></body></html>"
    )
