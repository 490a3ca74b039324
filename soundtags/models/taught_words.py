"""The words that users teach, and the files that they are kept in."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from soundtags.atomic import writing
from soundtags.errors import UnusableModel, UnusableWord
from soundtags.models import catalogue
from soundtags.models.catalogue import MOOD_FIELD, SCORE, Target
from soundtags.models.metadata import read_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from soundtags.models.installed import Model
    from soundtags.models.plan import Plan

FORMAT = 1  # of files; raise it when the same weights give other scores
ENDING = ".json"
MOST_LETTERS = 40
NAME = re.compile(rf"[^\W_][\w-]{{0,{MOST_LETTERS - 1}}}")


class Check(NamedTuple):
    """How well a word was learned, by tracks of albums left out of learning.

    Attributes
    ----------
    found
        How many of the examples have the word.
    named
        How many of the other tracks have it.
    others
        How many other tracks there were.
    refused
        Whether the others are counter-examples; if not, they are whatever
        else is in the library, and the word may be right for them.
    """

    found: int
    named: int
    others: int
    refused: bool


class ModelWeights(NamedTuple):
    """How much the outputs of an auto-tagger count for a word.

    Attributes
    ----------
    activations
        Class to the weight of the logarithm of its mean activation.
    embedding
        The weight of each number of the mean embedding.
    """

    activations: Mapping[str, float]
    embedding: tuple[float, ...]


@dataclass(frozen=True)
class TaughtWord:
    """A word that a user has taught: a logistic regression.

    Attributes
    ----------
    word
        The word.
    examples
        How many tracks it was learned from.
    check
        How well it was learned; None if there was no way to tell.
    bias
        Log-odds to which the weights add.
    models
        Weights by the identity of a model, see
        :meth:`soundtags.models.plan.Plan.identity`.
    """

    word: str
    examples: int
    check: Check | None
    bias: float
    models: Mapping[str, ModelWeights]

    def __hash__(self) -> int:
        return hash(self.digest)

    @cached_property
    def digest(self) -> str:
        """Digest of what its scores depend on."""
        import hashlib  # beets loads this module; see `catalogue`

        weights = [
            [name, sorted(each.activations.items()), each.embedding]
            for name, each in sorted(self.models.items())
        ]
        content = json.dumps([FORMAT, self.word, self.bias, weights])
        return hashlib.sha256(content.encode()).hexdigest()

    @property
    def target(self) -> Target:
        """The word as a target: a mood like any other."""
        classes = {name: name for name in (self.word, f"not {self.word}")}
        return Target(
            MOOD_FIELD + self.word,
            SCORE,
            classes,
            positive=self.word,
            taught=True,
        )


def plain(name: str) -> str:
    """Return a name in lower case, with hyphens for spaces."""
    return "-".join(unicodedata.normalize("NFC", name).lower().split())


def spelled(name: str) -> str:
    """Return a word as it is stored, see :func:`plain`.

    Raises
    ------
    UnusableWord
        If it cannot be a word, or is a mood that models know.
    """
    word = plain(name)
    if not NAME.fullmatch(word):
        raise UnusableWord(
            f"{name!r} cannot be a word: it needs letters, digits and hyphens,"
            f" at most {MOST_LETTERS}, and a letter or digit first"
        )
    taken = {
        field
        for target in catalogue.targets().values()
        for field in target.fields
    }
    if MOOD_FIELD + word in taken:
        raise UnusableWord(
            f"{word} is a mood already, with the field {MOOD_FIELD}{word};"
            " choose another word"
        )
    return word


def files(folder: Path) -> list[Path]:
    """Return the files of all words, including those that cannot be read."""
    return sorted(folder.glob(f"*{ENDING}"))


def read_words(
    folder: Path, warn: Callable[[str], None] = lambda _: None
) -> tuple[TaughtWord, ...]:
    """Read all words in a folder, which need not exist.

    Parameters
    ----------
    folder
        Folder with a file for each word.
    warn
        Told of each file that has to be left out.
    """
    found = []
    for path in files(folder):
        try:
            found.append(_read(path))
        except UnusableWord as exc:
            warn(f"left out: {path}: {exc}")
    return tuple(found)


def write_word(word: TaughtWord, folder: Path) -> None:
    """Write the file of a word, in place of an earlier one.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "format": FORMAT,
        "word": word.word,
        "examples": word.examples,
        "check": word.check and word.check._asdict(),
        "bias": word.bias,
        "models": {name: each._asdict() for name, each in word.models.items()},
    }
    text = json.dumps(content, indent=1, ensure_ascii=False)
    # One line for each list of numbers: nobody reads them one by one.
    text = re.sub(
        r"\[[^\[\]{}]*\]", lambda match: " ".join(match[0].split()), text
    )
    with writing(folder / f"{word.word}{ENDING}") as file:
        file.write(f"{text}\n".encode())


def delete_word(word: str, folder: Path) -> None:
    """Delete the file of a word.

    Raises
    ------
    OSError
        If it cannot be deleted.
    """
    (folder / f"{word}{ENDING}").unlink()


def with_words(
    plan: Plan, words: Iterable[TaughtWord], warn: Callable[[str], None]
) -> Plan:
    """Return a plan with words, in place of those that it has.

    Parameters
    ----------
    plan
        The plan.
    words
        The words. Those that need other models are left out.
    warn
        Told of each word that has to be left out.
    """
    here = {plan.identity(model): model for model in plan.fed}
    usable = []
    for word in words:
        if all(_fits(each, here.get(n)) for n, each in word.models.items()):
            usable.append(word)
        else:
            used = ", ".join(name.split()[0] for name in word.models)
            warn(
                f"left out: the word {word.word}: it was taught with another"
                f" version of {used}, or they cannot be used here; teach it"
                f" again: beet soundteach {word.word} QUERY"
            )
    others = {n: each for n, each in plan.targets.items() if not each.taught}
    targets = {word.target.name: word.target for word in usable}
    return replace(plan, words=tuple(usable), targets={**others, **targets})


def _fits(weights: ModelWeights, model: Model | None) -> bool:
    """Return whether weights are for the classes of a model."""
    return model is not None and weights.activations.keys() == {
        *model.metadata.classes
    }


def _read(path: Path) -> TaughtWord:
    try:
        content = read_json(path)
    except UnusableModel as exc:
        raise UnusableWord(str(exc)) from exc
    if content.get("format") != FORMAT:
        raise UnusableWord(
            "is from another version of this plugin, or not a word; update"
            " the plugin, or teach the word again"
        )
    try:
        check = content["check"]
        word = TaughtWord(
            word=content["word"],
            examples=int(content["examples"]),
            check=None if check is None else Check(**check),
            bias=_number(content["bias"]),
            models={n: _weights(each) for n, each in content["models"].items()},
        )
    except (AttributeError, LookupError, TypeError, ValueError) as exc:
        raise UnusableWord(
            "is damaged; teach the word again, or delete the file"
        ) from exc
    if f"{word.word}{ENDING}" != unicodedata.normalize("NFC", path.name):
        raise UnusableWord(
            f"has the word {word.word!r}, so its name must be"
            f" {word.word}{ENDING}"
        )
    if spelled(word.word) != word.word:
        raise UnusableWord("is damaged; teach the word again")
    return word


def _weights(entry: Mapping[str, Any]) -> ModelWeights:
    return ModelWeights(
        {str(n): _number(each) for n, each in entry["activations"].items()},
        tuple(map(_number, entry["embedding"])),
    )


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{number} is not a weight")
    return number
