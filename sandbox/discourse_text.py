"""What Discourse posts say, as Markdown and as the HTML Discourse cooks of it, and who says it."""

import html
from random import Random

from sandbox import words
from sandbox.history import Payload

DELETED_BY_AUTHOR = ("(post deleted by author)", "<p>(post deleted by author)</p>")
HIDDEN = "<p>This post was flagged by the community and is temporarily hidden.</p>"
_FIRST = ("anna", "björn", "chidi", "dora", "emeka", "fatima", "goro", "hanne", "ivo", "jun", "kaya", "liv")
SYSTEM: Payload = {
    "name": "system",
    "username": "system",
    "avatar_template": "/images/discourse-logo-sketch-small.png",
    "display_username": "system",
    "user_id": -1,
    "trust_level": 4,
    "moderator": True,
    "admin": True,
    "staff": True,
    "user_title": None,
}

ALWAYS: Payload = {  # what an anonymous reader sees of every post
    "yours": False, "can_edit": False, "can_delete": False, "can_recover": False, "can_see_hidden_post": False,
    "can_wiki": False, "bookmarked": False, "hidden": False, "deleted_at": None, "user_deleted": False,
    "edit_reason": None, "can_view_edit_history": True, "wiki": False, "primary_group_name": None, "flair_name": None,
    "flair_url": None, "flair_bg_color": None, "flair_color": None, "flair_group_id": None, "quote_count": 0,
}  # fmt: skip
NEWER: Payload = {  # and what only newer versions serve
    "badges_granted": [], "mentioned_users": [], "current_user_reaction": None,
    "current_user_used_main_reaction": False, "can_accept_answer": False, "can_unaccept_answer": False,
    "accepted_answer": False, "topic_accepted_answer": None, "can_vote": False,
}  # fmt: skip


def escape(text: str) -> str:
    return html.escape(text, quote=False).replace("'", "’")


def people(rng: Random, host: str, count: int) -> list[Payload]:
    """The attributes of a post that tell of its author."""
    return [_person(rng, host, user_id) for user_id in range(1, count + 1)]


def _person(rng: Random, host: str, user_id: int) -> Payload:
    first = rng.choice(_FIRST)
    name = rng.choice((first.title(), f"{first.title()} O'Fold", "", None))
    username = f"{first.replace('ö', 'o')}{user_id}"
    return {
        "name": name,
        "username": username,
        "avatar_template": f"/user_avatar/{host}/{username}/{{size}}/{user_id}_2.png",
        "display_username": name,
        "user_id": user_id,
        "trust_level": min(user_id % 5, 4),
        "moderator": user_id == 2,
        "admin": user_id == 1,
        "staff": user_id < 3,
        "user_title": "Regular" if user_id % 7 == 0 else None,
    }


class Writer:
    """Writes Markdown with its HTML, from a stock of 500 sentences."""

    def __init__(self, rng: Random, host: str, usernames: list[str]) -> None:
        self._rng = rng
        self._host = host
        self._usernames = usernames
        self._stock = words.sentences(rng, 500)

    def lead(self) -> str:
        return self._rng.choice(self._stock)

    def post(self, lead: str) -> tuple[str, str]:
        """(raw, cooked) of one to five blocks that begin with the plain sentence `lead`."""
        blocks = [(lead, f"<p>{escape(lead)}</p>")]
        blocks += [self._block() for _ in range(self._rng.choice((0, 0, 1, 1, 2, 4)))]
        return "\n\n".join(raw for raw, _ in blocks), "\n".join(cooked for _, cooked in blocks)

    def quote(self, username: str, number: int, topic_id: int, text: str) -> tuple[str, str]:
        """(raw, cooked) of a quotation of another post."""
        raw = f'[quote="{username}, post:{number}, topic:{topic_id}"]\n{text}\n[/quote]\n\n'
        avatar = f"https://{self._host}/user_avatar/{self._host}/{username}/48/1_2.png"
        cooked = (
            f'<aside class="quote no-group" data-username="{username}" data-post="{number}" data-topic="{topic_id}">\n'
            f'<div class="title">\n<div class="quote-controls"></div>\n<img alt="" width="24" height="24" '
            f'src="{avatar}" class="avatar"> {username}:</div>\n'
            f"<blockquote>\n<p>{escape(text)}</p>\n</blockquote>\n</aside>\n"
        )
        return raw, cooked

    def _block(self) -> tuple[str, str]:
        rng = self._rng
        first, second = rng.sample(self._stock, 2)
        kind = rng.randrange(8)
        if kind == 0:
            return f"*{first}* {second}", f"<p><em>{escape(first)}</em> {escape(second)}</p>"
        if kind == 1:
            url = rng.choice(words.LINKS)
            link = f'<a href="{html.escape(url)}" rel="noopener nofollow ugc">see here</a>'
            return f"{first} [see here]({url})", f"<p>{escape(first)} {link}</p>"
        if kind == 2:
            return f"- {first}\n- {second}", f"<ul>\n<li>{escape(first)}</li>\n<li>{escape(second)}</li>\n</ul>"
        if kind == 3:
            cooked = f'<pre data-code-wrap="python"><code class="lang-python">{escape(words.CODE)}\n</code></pre>'
            return f"```python\n{words.CODE}\n```", cooked
        if kind == 4:
            username = rng.choice(self._usernames)
            mention = f'<a class="mention" href="/u/{username}">@{username}</a>'
            return f"@{username} {first}", f"<p>{mention} {escape(first)}</p>"
        if kind == 5:
            heading = f'<h2><a name="p-1" class="anchor" href="#p-1"></a>{escape(first)}</h2>'
            return f"## {first}\n{second}", f"{heading}\n<p>{escape(second)}</p>"
        return f"{first}\n{second}", f"<p>{escape(first)}<br>\n{escape(second)}</p>"
