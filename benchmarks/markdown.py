"""Markdown as people write it in chats and comments."""

from random import Random

from sandbox import words

STOCK = [said for said in words.sentences(Random(3), 500) if "<" not in said]


def written(rng: Random) -> str:
    """Of about 110 characters mostly, and of 190 in the mean; a sixth has markup. Recorded Discord messages: 160 to
    250 in the mean; 3 % in one guild and 25 % in another."""
    wanted = min(rng.lognormvariate(4.7, 1.0), 4000)  # characters
    said = [rng.choice(STOCK)]
    while sum(map(len, said)) < wanted:
        said.append(rng.choice(STOCK))
    if rng.random() < 0.1:
        said.append(rng.choice(words.LINKS))
    if rng.random() < 0.16:
        said[-1] = _marked(rng, said[-1])
    return rng.choice((" ", " ", "\n", "\n\n")).join(said)


def _marked(rng: Random, said: str) -> str:
    return rng.choice((
        f"**{said}**", f"[{said}]({rng.choice(words.LINKS)})", f"\n> {said}\n{rng.choice(STOCK)}", f"`{said}`",
        f"\n- {said}\n- {rng.choice(STOCK)}", f"\n```py\n{words.CODE}\n```",
    ))  # fmt: skip
