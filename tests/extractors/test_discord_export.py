"""DiscordChatExporter's files: overlapping, partitioned, old, cut off; each whole message once; the recorded ones."""

import gzip
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from extractors.discord_api import id_at
from extractors.discord_export import CHUNK, Export, NoExport
from extractors.imports import Imported, find, imported
from extractors.lake import Lake
from extractors.platform import HOUR
from extractors.records import parse_again
from extractors.store import Folder
from orchestration.tables import observations
from tests.extractors.crawling import MINUTE, START, discord
from tests.recorded import RECORDED, needs_recorded

GUILD, CHANNEL, PARENT = "700000000000000001", "700000000000000010", "700000000000000013"


def message(number: int, **fields: Any) -> dict[str, Any]:
    moment = START + number * MINUTE
    return {
        "id": str(id_at(moment)), "type": "Default", "timestamp": moment.isoformat(), "timestampEdited": None,
        "callEndedTimestamp": None, "isPinned": False, "content": f"crane {number} ☺",
        "author": {"id": "600000000000000001", "name": "ada", "discriminator": "0000", "nickname": "Ada", "color": None,
                   "isBot": False, "avatarUrl": "https://cdn.discordapp.com/avatars/600000000000000001/abc.png?size=512"},
        "attachments": [], "embeds": [], "reactions": [], "mentions": [],
    } | fields  # fmt: skip


def document(
    messages: Sequence[dict[str, Any]], at: str | None = "2026-11-03T04:05:06.1234567-05:00", **channel: Any
) -> Any:
    channel = {
        "id": CHANNEL,
        "type": "GuildTextChat",
        "categoryId": "1",
        "category": "c",
        "name": "g",
        "topic": None,
    } | channel
    head = {"guild": {"id": GUILD, "name": "Paper", "iconUrl": None}, "channel": channel,
            "dateRange": {"after": None, "before": None}}  # fmt: skip
    return head | ({"exportedAt": at} if at else {}) | {"messages": messages, "messageCount": len(messages)}


def drop(folder: Path, name: str, content: Any) -> Path:
    folder.mkdir(exist_ok=True)
    data = content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False, indent=2).encode()
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return folder / name


class Exports:
    """A folder, and the lake it is imported into."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.lake, self.scratch = folder / "exports", Lake(Folder(folder / "lake")), folder / "scratch"

    def drop(self, name: str, content: Any) -> Path:
        return drop(self.folder, name, content)

    def take_in(self) -> list[Imported]:
        return list(imported(find(self.folder), self.lake, discord(), self.scratch))

    def rows(self, entity: Any = "posts") -> list[dict[str, Any]]:
        return [row for commit in self.lake.commits("discord") for row in self.lake.table(commit, entity).to_pylist()]


@pytest.fixture
def exports(tmp_path: Path) -> Exports:
    return Exports(tmp_path)


def test_a_file_becomes_an_observation_once(exports: Exports) -> None:
    reply = message(3, type="Reply", reference={"messageId": message(1)["id"], "channelId": CHANNEL, "guildId": GUILD})
    forward = message(4, content="", reference={"type": "Forward", "messageId": "9", "channelId": "8", "guildId": None},
                      forwardedMessage={"content": "over there", "timestamp": START.isoformat(), "attachments": [],
                                        "embeds": [], "stickers": []})  # fmt: skip
    odd = message(5, type="46", timestampEdited="2026-11-01T01:00:00.1234567-05:00",
                  attachments=[{"id": "77", "url": "a.png", "fileName": "a.png", "fileSizeBytes": 1}])  # fmt: skip
    messages = [message(1), message(2, type="ChannelPinnedMessage"), reply, forward, odd]
    exports.drop("a.json", document(messages))
    (one,) = exports.take_in()
    assert one.commit and one.messages == 5 and not one.problem
    assert one.commit.observed_at == datetime(2026, 11, 3, 9, 5, 6, 123456, tzinfo=UTC)
    assert one.commit.hour == datetime(2026, 11, 3, 9, tzinfo=UTC) and not one.commit.closes(
        f"discord:{GUILD}/{CHANNEL}"
    )
    rows = exports.rows()
    assert [orjson.loads(row["payload"]) for row in rows] == messages
    assert {row["source"] for row in rows} == {"export"} and not any(row["parse_error"] for row in rows)
    assert [row["type"] for row in rows] == [0, 6, 19, 0, 46]
    assert [row["created_at"] for row in rows] == [START + n * MINUTE for n in range(1, 6)]
    assert rows[2]["quotes"] == [message(1)["id"]] and rows[3]["text"] == "over there" and not rows[3]["quotes"]
    assert rows[4]["edited_timestamp"] == datetime(2026, 11, 1, 6, 0, 0, 123456, tzinfo=UTC)
    assert rows[4]["attachment_ids"] == ["77"] and rows[0]["author_avatar"] == "abc"
    assert {(row["community"], row["thread_id"]) for row in rows} == {(f"discord:{GUILD}/{CHANNEL}", CHANNEL)}
    (thread,) = exports.rows("threads")
    assert (thread["thread_id"], thread["name"], thread["type"], thread["text"]) == (CHANNEL, "g", 0, "g")
    assert exports.take_in() == [Imported(one.file)] and len(exports.rows()) == 5


def test_a_thread_belongs_to_its_channel(exports: Exports) -> None:
    exports.drop("t.json.gz", document([message(1)], type="GuildPublicThread", categoryId=PARENT, name="why?"))
    assert exports.take_in()[0].messages == 1
    (row,), (thread,) = exports.rows(), exports.rows("threads")
    assert row["community"] == thread["community"] == f"discord:{GUILD}/{PARENT}"
    assert row["thread_id"] == thread["thread_id"] == CHANNEL and thread["parent_id"] == PARENT


def test_overlapping_and_partitioned_files(exports: Exports) -> None:
    exports.drop("a [part 1].json", document([message(n) for n in range(10)]))
    exports.drop("a [part 2].json", document([message(n) for n in range(10, 15)]))
    later = document([message(n, content="said anew") for n in range(8, 20)], at="2026-11-05T00:00:00Z")
    exports.drop("b.json", later)
    assert [one.messages for one in exports.take_in()] == [10, 5, 12]
    rows = sorted(exports.rows(), key=lambda row: row["observed_at"])
    latest = {row["post_id"]: row["text"] for row in rows}
    assert len(latest) == 20 and sum(text == "said anew" for text in latest.values()) == 12


def test_an_old_file_counts_as_of_its_last_change(exports: Exports) -> None:
    old = exports.drop("old.json", document([message(1)], at=None))
    moment = (START + 5 * HOUR).timestamp()
    os.utime(old, (moment, moment))
    assert exports.take_in()[0].commit.observed_at == START + 5 * HOUR  # type: ignore[union-attr]
    os.utime(old, (moment + 9999, moment + 9999))
    assert exports.take_in() == [Imported(old)], "known by its content"


WHOLE = json.dumps(document([message(n, content="long " * 200) for n in range(2000)])).encode()


@pytest.mark.parametrize("keep", [0.01, 0.3, 0.5, 0.999, 1 - 3 / len(WHOLE)])
@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_a_file_that_was_cut_off_gives_every_whole_message(keep: float, name: str, exports: Exports) -> None:
    assert len(WHOLE) > CHUNK
    part = WHOLE[: int(len(WHOLE) * keep)]
    exports.drop(name, part)
    (one,) = exports.take_in()
    whole = part.count(b'"mentions": []}')
    assert one.messages == len(exports.rows()) == whole and one.commit
    assert "cut off" in one.problem and f" {whole} " in one.problem and name in one.problem
    receipt = one.commit.communities[f"discord:{GUILD}/{CHANNEL}"]
    assert receipt.error == one.problem and not receipt.complete and not receipt.of_hour
    assert observations([one.commit], START)["source"].to_pylist() == ["export"]
    exports.drop("whole.json", WHOLE)
    assert [two.messages for two in exports.take_in()] == [0, 2000]


def test_a_compressed_file_that_was_cut_off(exports: Exports) -> None:
    exports.folder.mkdir()
    data = gzip.compress(WHOLE)
    (exports.folder / "a.json.gz").write_bytes(data[: len(data) // 2])
    (one,) = exports.take_in()
    assert "cut off" in one.problem and 500 < one.messages == len(exports.rows()) < 2000


def test_what_is_no_export_stops_nothing(exports: Exports) -> None:
    exports.drop("a.json", b'{"some": "thing"}')
    exports.drop("b.json", document([message(1)]))
    exports.drop("c.json", b"<html>")
    wrong, well, html = exports.take_in()
    assert "no JSON export of DiscordChatExporter" in wrong.problem and wrong.commit is None and html.problem
    assert well.messages == 1
    with pytest.raises(NoExport):
        Export(exports.folder / "a.json")
    with pytest.raises(ValueError, match="holds no export"):
        list(imported(find(exports.scratch), exports.lake, discord(), exports.scratch))


def test_what_does_not_fit_is_kept(exports: Exports) -> None:
    control = json.dumps(document([message(1)])).replace("crane", "\x01\\ud83d crane").encode()
    exports.drop("a.json", b"\xef\xbb\xbf" + control)
    exports.drop("b.json", document([message(2, isPinned="often"), {"id": None}, 7]))
    counts = document([message(3)]) | {"messageCount": 9}
    exports.drop("c.json", counts)
    results = exports.take_in()
    assert [one.messages for one in results] == [1, 3, 1]
    assert "says that it has 9 messages, but has 1" in results[2].problem
    rows = exports.rows()
    assert len(rows) == 5 and sum(row["parse_error"] is not None for row in rows) == 4
    commit = results[1].commit
    assert commit and all(row["thread_id"] == CHANNEL for row in rows)
    again = parse_again(discord(), "posts", exports.lake.table(commit, "posts")).to_pylist()
    assert {row["thread_id"] for row in again} == {CHANNEL}


@needs_recorded
def test_the_recorded_exports(exports: Exports) -> None:
    assert RECORDED is not None
    folder = RECORDED / "discord" / "discordchatexporter"
    results = list(imported(find(folder), exports.lake, discord(), exports.scratch))
    assert len(results) == 14 and sum(one.messages for one in results) == 4769
    assert not any(one.problem for one in results)
    rows = {row["post_id"]: row for row in exports.rows()}
    assert len(rows) == 4769 and not any(row["parse_error"] for row in rows.values())
    for file in folder.glob("*.gz"):
        for record in json.loads(gzip.decompress(file.read_bytes()))["messages"]:
            assert orjson.loads(rows[record["id"]]["payload"]) == record
    assert len({row["thread_id"] for row in exports.rows("threads")}) == 14
