"""A thread as a tree: who answers whom, by what posts quote and by the parents that platforms name."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from dashboard.reader import Row

DEEPEST = 6  # levels that are indented; what is deeper stands below its parent without further indent


@dataclass
class Node:
    """A post and what answers it. `parent`: the post it stands below; `elsewhere`: what else it quotes."""

    post: Row
    parent: str | None = None
    elsewhere: list[str] = field(default_factory=list)
    answers: list["Node"] = field(default_factory=list)


def quotable(post: Row) -> str:
    """By which other posts quote it: Discourse counts the posts of a topic, everybody else names the post."""
    prefix = f"https://{post['instance']}/t/"
    url = post["url"] or ""
    return (
        url.removeprefix(prefix) if post["platform"] == "discourse" and url.startswith(prefix) else str(post["post_id"])
    )


def tree(posts: Sequence[Row]) -> list[Node]:
    """The posts of a page, in their order, below the last post they quote of those before them. What answers the
    opening post stands beside it: everything in a thread does."""
    nodes = [Node(post) for post in posts]
    place = {quotable(post): i for i, post in enumerate(posts)}
    roots = []
    for i, node in enumerate(nodes):
        quoted = list(dict.fromkeys(node.post["quotes"] or ()))
        parent = max(
            (place[one] for one in quoted if place.get(one, i) < i and not posts[place[one]]["is_opening"]),
            default=None,
        )
        if parent is None:
            roots.append(node)
        else:
            node.parent = posts[parent]["post_id"]
            nodes[parent].answers.append(node)
        node.elsewhere = [one for one in quoted if place.get(one, -1) != parent]
    return roots


def walk(roots: Sequence[Node], depth: int = 0) -> Iterator[tuple[int, Node]]:
    """Each node with its depth, parents first; no recursion, since a conversation of two may be a thousand levels
    deep."""
    waiting = [(depth, node) for node in reversed(roots)]
    while waiting:
        depth, node = waiting.pop()
        yield min(depth, DEEPEST), node
        waiting.extend((depth + 1, answer) for answer in reversed(node.answers))
