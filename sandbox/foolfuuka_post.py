"""How FoolFuuka stores a 4chan post: numbers as strings, comments with other markup, files in a block of their own."""

import html
import re
from datetime import datetime
from typing import Any

from sandbox.fourchan_text import EASTERN
from sandbox.history import Payload

_CAPCODES = {None: "N", "mod": "M", "admin": "A", "developer": "D", "verified": "V"}


def archived_post(
    *,
    board: str,
    first: Payload,
    doc_id: int,
    thread_num: int,
    timestamp: int,
    expired: int,
    deleted: bool,
    archive: str,
) -> dict[str, Any]:
    """`first` is what 4chan served first: archives keep that and see no edits. `expired` is 0 or unix seconds."""
    comment = _bbcode(first["com"]) if first.get("com") else None
    title = html.unescape(first["sub"]) if "sub" in first else None
    return {
        "doc_id": str(doc_id),
        "num": str(first["no"]),
        "subnum": "0",
        "thread_num": str(thread_num),
        "op": "0" if first["resto"] else "1",
        "timestamp": str(timestamp),
        "timestamp_expired": str(expired),
        "capcode": _CAPCODES[first.get("capcode")],
        "email": None,
        "name": first.get("name"),
        "trip": first.get("trip"),
        "title": title,
        "comment": comment,
        "poster_hash": first.get("id"),
        "poster_country": first.get("country"),
        "sticky": "0",
        "locked": "0",
        "deleted": str(int(deleted)),
        "nreplies": None,
        "nimages": None,
        "fourchan_date": _date(first["time"]),
        "comment_sanitized": comment,
        "comment_processed": _processed(comment, board, thread_num, archive) if comment else None,
        "title_processed": html.escape(title) if title else "",
        "name_processed": first.get("name"),
        "email_processed": "",
        "trip_processed": first.get("trip") or "",
        "poster_hash_processed": first.get("id"),
        "poster_country_name": first.get("country_name"),
        "poster_country_name_processed": first.get("country_name"),
        "exif": None,
        "media": _media(first, board, archive) if "tim" in first else None,
    }


def _date(created: int) -> str:
    """`6/6/12(Wed)23:17`"""
    local = datetime.fromtimestamp(created, EASTERN)
    return f"{local.month}/{local.day}/{local:%y(%a)%H:%M}"


def _bbcode(com: str) -> str:
    """4chan's HTML as the archive stores it: plain text with a few tags in brackets."""
    com = com.replace("<wbr>", "").replace("<br>", "\n")
    com = re.sub(r"<s>(.*?)</s>", r"[spoiler]\1[/spoiler]", com, flags=re.DOTALL)
    com = re.sub(r'<pre class="prettyprint">(.*?)</pre>', r"[code]\1[/code]", com, flags=re.DOTALL)
    com = re.sub(r"<b>(.*?)</b>", r"[b]\1[/b]", com, flags=re.DOTALL)
    com = re.sub(r'<a href="/(\w+)/thread/[^>]*>&gt;&gt;(\d+)</a>', r"&gt;&gt;\2", com)
    return html.unescape(re.sub(r"<[^>]+>", "", com)).strip("\x00")


def _processed(comment: str, board: str, thread_num: int, archive: str) -> str:
    lines = []
    for line in html.escape(comment, quote=False).split("\n"):
        line = re.sub(
            r"&gt;&gt;(\d+)",
            rf'<a href="https://{archive}/{board}/thread/{thread_num}/#\1" class="backlink" '
            rf'data-function="highlight" data-backlink="true" data-board="{board}" data-post="\1">&gt;&gt;\1</a>',
            line,
        )
        lines.append(f'<span class="greentext">{line}</span>' if line.startswith("&gt;") else line)
    return "<br />\n".join(lines)


def _media(first: Payload, board: str, archive: str) -> dict[str, Any]:
    stem, ext = str(first["tim"]), first["ext"]
    link = f"https://{archive}/{board}/image/{stem[:4]}/{stem[4:6]}/{stem}{ext}"
    preview = f"{stem}s.jpg"
    return {
        "media_id": str(first["no"] % 100_000),
        "spoiler": str(first.get("spoiler", 0)),
        "preview_orig": preview,
        "preview_w": str(first["tn_w"]),
        "preview_h": str(first["tn_h"]),
        "media_filename": html.unescape(first.get("filename", "")) + ext,
        "media_w": str(first["w"]),
        "media_h": str(first["h"]),
        "media_size": str(first["fsize"]),
        "media_hash": first["md5"],
        "media_orig": f"{stem}{ext}",
        "exif": None,
        "total": "1",
        "banned": "0",
        "media": f"{stem}{ext}",
        "preview_op": None if first["resto"] else preview,
        "preview_reply": preview if first["resto"] else None,
        "media_status": "normal",
        "safe_media_hash": first["md5"].rstrip("=").replace("+", "-").replace("/", "_"),
        "media_link": link,
        "remote_media_link": link,
        "thumb_link": f"https://{archive}/{board}/thumb/{stem[:4]}/{stem[4:6]}/{preview}",
    }
