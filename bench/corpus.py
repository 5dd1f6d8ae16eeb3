"""What is said: templates in which the load generator fills in time (@T), number (@N), id (@I) and date (@C)."""

import itertools
import json
import random
import uuid
from functools import cache
from typing import Any

STAMP = "@" + "T" * 15
NUMBER = "@" + "N" * 8
ID = "@" + "I" * 18
CREATED = "@" + "C" * 23
#: Begins every text: the load generator reads its own clock back from it.
PREFIX = f"t={STAMP} n={NUMBER}"


def comment(text: str, user: str = "guest-5b1f3c2d4e5f9f63", name: str = "Ada") -> str:
    """A logged comment, as `schemas.items.Comment` encodes it."""
    item: dict[str, Any] = {
        "type": "comment",
        "comment_id": ID,
        "user": {"id": user, "name": name, "picture": None, "badges": []},
        "text": text,
        "parent_comment_id": None,
        "created_at": CREATED,
    }
    return json.dumps(item, separators=(",", ":"), ensure_ascii=False)


def plain() -> list[str]:
    """One short comment, 290 bytes on the wire: what a write costs does not depend on the words."""
    return [comment(f"{PREFIX} hello")]


def post(count: int = 1000, seed: int = 1) -> list[str]:
    """Bodies of `POST comments`, each with its own few words."""
    rng = random.Random(seed)
    words = _vocabulary(rng)
    return [json.dumps({"text": f"{PREFIX} {_sentence(rng, words)}"}, ensure_ascii=False) for _ in range(count)]


def chat(count: int = 10_000, users: int = 3_000, seed: int = 1) -> list[str]:
    """Comments of a busy chat: users with UUIDs, a third with pictures and badges, words distributed as Zipf found them."""
    rng = random.Random(seed)
    words = _vocabulary(rng)
    people = []
    for _ in range(users):
        own = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        picture = f"https://cdn.example/avatars/{rng.getrandbits(96):024x}.webp" if rng.random() < 0.33 else None
        badges = [rng.choice(["verified", "moderator", "guest"])] if rng.random() < 0.2 else []
        people.append((own, _name(rng, words), picture, badges))
    made = []
    # A few people say much, the most talkative one in a hundred comments.
    for own, name, picture, badges in rng.choices(people, cum_weights=_zipf(users, 15), k=count):
        item = json.loads(comment(f"{PREFIX} {_sentence(rng, words)}", own, name))
        item["user"] |= {"picture": picture, "badges": badges}
        if rng.random() < 0.1:
            item["parent_comment_id"] = str(10**18 + rng.getrandbits(58))
        made.append(json.dumps(item, separators=(",", ":"), ensure_ascii=False))
    return made


def _vocabulary(rng: random.Random, size: int = 8000) -> list[str]:
    syllables = [a + b for a in "bdfghjklmnprstvwz" for b in ("a", "e", "i", "o", "u", "an", "er", "in", "ol", "us")]
    emoji = ["😂", "🔥", "❤️", "👏", "lol", "GG", "wow", "hi", "yes", "no"]
    return emoji + ["".join(rng.choices(syllables, k=rng.choice((1, 1, 2, 2, 3)))) for _ in range(size)]


def _sentence(rng: random.Random, words: list[str]) -> str:
    length = max(1, min(60, int(rng.lognormvariate(1.8, 0.8))))
    return " ".join(rng.choices(words, cum_weights=_zipf(len(words), 2.7), k=length))


@cache
def _zipf(count: int, shift: float) -> list[float]:
    """Cumulative weights by Zipf's law as Mandelbrot put it: 1 / (rank + shift). With 2.7 the first of 8,000 words is 5 %."""
    return list(itertools.accumulate(1 / (rank + shift) for rank in range(count)))


def _name(rng: random.Random, words: list[str]) -> str:
    number = rng.choice(["", str(rng.randint(1, 9999))])
    return f"{rng.choice(words).title()}{rng.choice(['', '_', ' '])}{rng.choice(words)}{number}"
