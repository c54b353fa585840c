"""What 4chan posts say, as the API serves them: comments in the site's HTML, names, files."""

import base64
from dataclasses import dataclass
from datetime import datetime
from random import Random
from zoneinfo import ZoneInfo

from sandbox import words
from sandbox.history import Payload

EASTERN = ZoneInfo("America/New_York")
BANNED = '<br><br><b style="color:red;">(USER WAS BANNED FOR THIS POST)</b>'
FILE_ATTRIBUTES = frozenset((
    "tim", "filename", "ext", "fsize", "md5", "w", "h", "tn_w", "tn_h", "spoiler", "custom_spoiler", "m_img",
))  # fmt: skip
_FILENAMES = ("IMG", "crane", "Screenshot", "折り紙", "trail &amp; tent")
_EXTENSIONS = (".jpg", ".jpg", ".jpg", ".png", ".png", ".gif", ".webm", ".pdf", ".mp4")
_COUNTRIES = (("US", "United States"), ("DE", "Germany"), ("BR", "Brazil"), ("XX", "Unknown"), ("FI", "Finland"))


def escape(text: str) -> str:
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#039;")):
        text = text.replace(character, entity)
    return text


def eastern(seconds: int) -> str:
    """The attribute `now`, like `02/11/21(Thu)05:38:36`."""
    return datetime.fromtimestamp(seconds, EASTERN).strftime("%m/%d/%y(%a)%H:%M:%S")


def quotelink(no: int) -> str:
    return f'<a href="#p{no}" class="quotelink">&gt;&gt;{no}</a>'


@dataclass(frozen=True)
class Context:
    """What a new comment can refer to: numbers of its thread so far, the opening post first, and another thread's."""

    board: str
    earlier: list[int]
    elsewhere: int | None


class Writer:
    """Writes posts of one board from a stock of 600 sentences: composing is five times faster than inventing."""

    def __init__(self, rng: Random, country_flags: bool, user_ids: bool, spoilers: bool) -> None:
        self._rng = rng
        self._country_flags = country_flags
        self._user_ids = user_ids
        self._spoilers = spoilers
        self._stock = [escape(text) for text in words.sentences(rng, 600)]

    def post(self, no: int, resto: int, created: int, context: Context, ip: int) -> Payload:
        """Everything but the counters of an opening post, which change with its thread."""
        rng = self._rng
        post: Payload = {"no": no, "resto": resto, "time": created, "now": eastern(created), "name": "Anonymous"}
        chance = rng.random()
        if chance < 0.03:
            post |= {"name": f"Folder{ip}", "trip": f"!{base64.b64encode(rng.randbytes(7))[:10].decode()}"}
        elif chance < 0.031:
            del post["name"]
        elif chance < 0.032:
            post["name"] = ""
        elif chance < 0.037:
            post["since4pass"] = 2012 + ip % 12
        if self._user_ids:
            post["id"] = f"{(resto or no) * 7919 + ip:08x}"[-8:]
        if self._country_flags:
            post["country"], post["country_name"] = _COUNTRIES[ip % len(_COUNTRIES)]
        elif chance > 0.98:
            post |= {"board_flag": "CR", "flag_name": "Crane"}
        if not resto:
            subject = words.subject(rng)
            if rng.random() < 0.7:
                post["sub"] = escape(subject)
            post["semantic_url"] = words.slug(subject)[:50].rstrip("-")
        if rng.random() < (0.25 if resto else 0.99):
            post |= self._file(created)
        if resto == 0 or "tim" not in post or rng.random() < 0.7:
            post["com"] = self._comment(context)
        return post

    def _comment(self, context: Context) -> str:
        rng = self._rng
        lines = rng.sample(self._stock, rng.choice((1, 1, 1, 2, 2, 3, 5)))
        chance = rng.random()
        if len(context.earlier) and chance < 0.5:
            lines.insert(0, quotelink(rng.choice(context.earlier[-20:])))
            if chance < 0.1:
                lines.insert(2, quotelink(context.earlier[0]))
        elif context.elsewhere and chance < 0.53:
            no = context.elsewhere
            lines.append(f'<a href="/{context.board}/thread/{no}#p{no}" class="quotelink">&gt;&gt;{no}</a>')
        elif chance < 0.55:
            lines.insert(0, f'<span class="deadlink">&gt;&gt;{rng.randrange(1000, 99999)}</span>')
        chance = rng.random()
        if chance < 0.25:
            lines[-1] = f'<span class="quote">&gt;{lines[-1]}</span>'
        elif chance < 0.3:
            lines.append(words.LINKS[0][:30] + "<wbr>" + words.LINKS[0][30:])
        elif chance < 0.34:
            lines.append(escape(rng.choice(words.LINKS)))
        elif chance < 0.37:
            lines[-1] = f"<s>{lines[-1]}</s>"
        elif chance < 0.38:
            lines.append('<pre class="prettyprint">' + escape(words.CODE).replace("\n", "<br>") + "</pre>")
        elif chance < 0.382:
            lines[-1] += "\x00"
        return "<br>".join(lines)

    def _file(self, created: int) -> Payload:
        rng = self._rng
        width, height = rng.randrange(200, 4000), rng.randrange(200, 4000)
        shrink = 125 / max(width, height)
        precision = rng.choice((10**3, 10**6))  # 13 digits, newer files 16
        file: Payload = {
            "tim": created * precision + rng.randrange(precision),
            "filename": f"{rng.choice(_FILENAMES)}_{rng.randrange(9999)}",
            "ext": rng.choice(_EXTENSIONS),
            "fsize": rng.randrange(10_000, 4_000_000),
            "md5": base64.b64encode(rng.randbytes(16)).decode(),
            "w": width,
            "h": height,
            "tn_w": max(int(width * shrink), 1),
            "tn_h": max(int(height * shrink), 1),
        }
        chance = rng.random()
        if chance < 0.001:
            del file["filename"]
        elif chance < 0.1:
            file["m_img"] = 1
        elif chance < 0.13 and self._spoilers:
            file |= {"spoiler": 1, "custom_spoiler": 1 + created % 5}
        return file


def welcome(board: str, title: str) -> Payload:
    """What a moderator's sticky says."""
    return {
        "sub": f"Welcome to /{board}/!",
        "com": f"Welcome to /{board}/, {escape(title)}. <b>Read the rules</b> before you post.",
        "capcode": "mod",
        "semantic_url": f"welcome-to-{board}",
    }
