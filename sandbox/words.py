"""Invented sentences for invented people. How a platform marks text up does not belong here."""

from random import Random

_SUBJECTS = (
    "the second fold", "this paper", "my tent", "a dry trail", "the reverse crease", "the old stove", "every model",
    "the spring branch", "that release", "our moderator", "the map", "a wet base", "the migration", "Élodie's crane",
    "the 東京 set", "an orange kite", "the naïve approach", "the plugin", "half of the thread", "the cutting mat",
)  # fmt: skip
_VERBS = (
    "holds", "needs", "beats", "ruins", "looks like", "explains", "replaces", "hides", "costs more than", "fits into",
    "is older than", "cannot do without", "reminds me of", "comes before", "never mentions", "made me sell",
)  # fmt: skip
_OBJECTS = (
    "a thicker sheet", "three days of rain", "the whole scheme", "what you describe", "a 90° corner", "the manual",
    "5 < 6 & 7 > 2", "my first attempt", "a café in Łódź", "the diagram on page 12", "a \"safe\" default", "glue 🙂",
    "nothing at all", "the next version", "a lighter pack", "it's twin", "ten other people", "the ½ inch rule",
)  # fmt: skip
_TAILS = ("", "", "", ", I think", ", as always", " – at least here", ", right?", ", sadly", "…", " (again)")

LINKS = (
    "https://www.example.org/models/crane.pdf",
    "https://example.com/a?b=1&c=2",
    "http://trail.example.net/~walker/log#day-3",
    "https://paper.example/wiki/Miura_fold",
)
CODE = "for fold in range(3):\n    print(fold < 2)"


def sentence(rng: Random) -> str:
    """Plain text with the characters that break careless escaping: <, &, quotes, apostrophes, emoji."""
    text = f"{rng.choice(_SUBJECTS)} {rng.choice(_VERBS)} {rng.choice(_OBJECTS)}{rng.choice(_TAILS)}"
    return text[0].upper() + text[1:]


def sentences(rng: Random, count: int) -> list[str]:
    return [sentence(rng) for _ in range(count)]


def subject(rng: Random) -> str:
    return f"{rng.choice(_SUBJECTS)} {rng.choice(_VERBS)} {rng.choice(_OBJECTS)}"


def slug(text: str, joined_by: str = "-") -> str:
    """`The 90° corner & I` becomes `the-90-corner-i`."""
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in text.lower()).split()
    return joined_by.join(words) or "topic"


def delay(rng: Random, mean_hours: float, late: float = 0.1) -> float:
    """Seconds until something happens to a post: mostly within a day, for a share of `late` one to five days on."""
    if rng.random() < late:
        return rng.uniform(24, 120) * 3600
    return 30 + min(rng.expovariate(1 / mean_hours), 23.5) * 3600
