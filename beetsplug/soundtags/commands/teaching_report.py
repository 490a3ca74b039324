"""What `beet soundteach` says about how good a word is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from beetsplug.soundtags.commands.showing import tracks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from soundtags.collection.teaching import Learned
    from soundtags.models.taught_words import Check, TaughtWord

FEW, ENOUGH = 15, 20  # examples: with fewer, figures are rough guesses
POOR = 0.25  # advantage below which a word is poor
LEAST = 0.1  # share of right tracks from which it is worth telling
NORMAL = 1.96  # standard deviations within which 95 of 100 values are


def in_short(word: TaughtWord) -> str:
    """Return how good a word is, in half a line."""
    source = f"from {word.examples} examples"
    if word.check is None:
        return f"{source} of one album"
    return f"{source}: finds about {_in_ten(_found(word, word.check))} of 10"


def is_noise(learned: Learned) -> bool:
    """Return whether a word is certainly poor, not just by bad luck."""
    # Twice the standard deviation of a share is no more than this.
    luck = 1 / math.sqrt(learned.word.examples)
    return learned.advantage is not None and learned.advantage + luck < POOR


def lines(learned: Learned) -> Iterator[str]:
    """Yield lines about what was learned, and what would make it better."""
    word, check = learned.word, learned.word.check
    if check is None or learned.advantage is None:
        yield f"{word.word}, {in_short(word)}: no way to tell how good it is"
        yield "what would help: examples from other albums"
        return
    low, high = map(_in_ten, _interval(check.found, word.examples))
    yield f"{word.word}, {in_short(word)} ({low} to {high}){_right(check)}"
    if not check.refused:
        yield (
            f"it also names {check.named} of {tracks(check.others)} that you"
            f" have said nothing about ({_named(check):.0%})"
        )
    if learned.advantage < POOR:
        yield (
            "this is little better than chance: to the models, the examples"
            " sound no more like each other than like other music"
        )
        yield (
            "what would help: more examples, from more albums; tracks that come"
            " close but are wrong, with --not; or a word that says how music"
            " sounds"
        )
    elif word.examples < FEW:
        yield f"this is a rough guess; {ENOUGH} examples or more would help"


def _right(check: Check) -> str:
    """Return a clause about how many of the tracks that it names are right."""
    right = check.found / max(check.found + check.named, 1)
    if check.refused:
        return f", and {_in_ten(right)} of 10 it names are right"
    if right < LEAST:
        return ""
    return f", and at least {_in_ten(right)} of 10 it names are right"


def _named(check: Check) -> float:
    return check.named / max(check.others, 1)


def _found(word: TaughtWord, check: Check) -> float:
    return check.found / max(word.examples, 1)


def _in_ten(share: float) -> int:
    return round(10 * share)


def _interval(found: int, total: int) -> tuple[float, float]:
    """Return the shares between which the true one probably is (Wilson)."""
    share, factor = found / total, NORMAL**2 / total
    middle = (share + factor / 2) / (1 + factor)
    half = math.sqrt(share * (1 - share) * factor + factor**2 / 4)
    return middle - half / (1 + factor), middle + half / (1 + factor)
