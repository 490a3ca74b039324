"""The command `beet soundteach`."""

from __future__ import annotations

import shlex
import sys
from contextlib import closing
from dataclasses import dataclass
from optparse import Values
from typing import TYPE_CHECKING, Any

from beets.exceptions import UserError

from beetsplug.soundtags import configuration, fields
from beetsplug.soundtags.cached_tracks import CachedTracks
from beetsplug.soundtags.commands import teaching_report as report
from beetsplug.soundtags.commands.showing import item_name, say, tracks
from beetsplug.soundtags.commands.soundtags import Run
from beetsplug.soundtags.commands.work import Work
from beetsplug.soundtags.database import (
    field_values,
    matching_ids,
    queried_fields,
    split_query,
)
from beetsplug.soundtags.library_access import get_items
from beetsplug.soundtags.provenance import Provenance
from beetsplug.soundtags.tagger import make_tagger
from beetsplug.soundtags.taught import words_dir
from soundtags.collection.teaching import teach
from soundtags.labelling.labels import Vocabulary
from soundtags.models import taught_words
from soundtags.models.catalogue import MOOD_FIELD

if TYPE_CHECKING:
    from beets.library import Library
    from confuse import ConfigView

    from soundtags.collection.teaching import Learned
    from soundtags.models.plan import Plan


def run(
    lib: Library, config: ConfigView, log: Any, opts: Values, args: list[str]
) -> None:
    """Carry out the command.

    Raises
    ------
    beets.exceptions.UserError
        If arguments are missing or wrong, examples contradict each other, or
        the word would be noise.
    WordError
        If the name cannot be that of a word, or the examples do not suffice.
    """
    command = TeachCommand(lib, config, log, opts)
    if opts.list:
        command.show()
    elif opts.forget:
        command.forget(opts.forget)
    elif len(args) < 2:
        raise UserError(
            "name a word and tracks that are examples of it, such as:"
            " beet soundteach focus playlist:focus"
        )
    else:
        command.teach(taught_words.spelled(args[0]), args[1:])


@dataclass
class TeachCommand:
    """One run of the command."""

    lib: Library
    config: ConfigView
    log: Any
    opts: Values

    def show(self) -> None:
        """Print the words that have been taught."""
        found = configuration.plan(self.config, self.log).words
        for word in found:
            having = tracks(self._having(word.word))
            say(f"{word.word}: {having}; {report.in_short(word)}")
        if not found:
            say("no words yet; teach one: beet soundteach NAME QUERY")

    def forget(self, name: str) -> None:
        """Delete a word, and remove it from all tracks."""
        folder = words_dir()
        known = sorted(path.stem for path in taught_words.files(folder))
        word = name if name in known else taught_words.plain(name)
        if word not in known:
            taught = f"; taught are: {', '.join(known)}" if known else ""
            raise UserError(f"the word {name!r} has not been taught{taught}")
        having = tracks(self._having(word))
        if self.opts.pretend:
            say(f"{word} would be forgotten; {having} would lose it")
            return
        taught_words.delete_word(word, folder)
        self._update_library()
        say(f"{word} is forgotten; {having} had it")

    def teach(self, word: str, query: list[str]) -> None:
        """Learn a word, and give it to the tracks that it suits."""
        examples = self._told(word, query)
        refused = self._told(
            word, split_query(self.opts.refused or "", "--not")
        )
        self._check(examples, refused)
        plan = configuration.plan(self.config, self.log)
        library = self._analysed(examples | refused, plan)
        learned = teach(
            word,
            library.lesson(examples, refused),
            Vocabulary(plan.settings).threshold(
                word, plan.settings.mood_threshold
            ),
        )
        for line in report.lines(learned):
            say(line)
        if self.opts.pretend:
            self._ask(word, query, library, learned)
            return
        if report.is_noise(learned):
            raise UserError(f"{word} was not taught, as it would be noise")
        self._ask(word, query, library, learned)
        taught_words.write_word(learned.word, words_dir())
        fields.declare(learned.word.target.name, fields.NUMBER)
        self._update_library()
        say(
            f"{tracks(self._having(word))} with the mood {word}: beet ls"
            f" mood:={word} {MOOD_FIELD}{word}-"
        )

    def _told(self, word: str, query: list[str]) -> set[int]:
        """Return the tracks that match, without those that we gave the word.

        A query for the word finds those, too, but what was learned from
        examples is not a further example.
        """
        if not query:
            return set()
        ids = set(matching_ids(self.lib, query))
        asked = {"mood", MOOD_FIELD + word} & queried_fields(query)
        ours = ids & self._given(word) if asked else set()
        if ours:
            say(
                f"{tracks(len(ours))} of those that match have {word} from this"
                " plugin, and are not used as examples"
            )
        return ids - ours

    def _given(self, word: str) -> set[int]:
        """Return the tracks whose moods are ours, with a word among them."""
        written = field_values(self.lib, fields.WRITTEN)
        moods = {
            each: fields.LIST_OF_NAMES.from_sql(value)
            for each, value in field_values(self.lib, "mood").items()
        }
        return {
            each
            for each in written.keys() & moods.keys()
            if word in moods[each]
            and Provenance.parse(written[each]).wrote("mood", moods[each])
        }

    def _check(self, examples: set[int], refused: set[int]) -> None:
        both = sorted(examples & refused)
        if not examples:
            raise UserError("no matching track can be used as an example")
        if both:
            (first,) = get_items(self.lib, both[:1])
            raise UserError(
                f"{tracks(len(both))} both among the examples and in --not,"
                f" such as {item_name(first)} (id:{first.id})"
            )

    def _analysed(self, ids: set[int], plan: Plan) -> CachedTracks:
        """Return the analysed tracks, after analysing some if necessary."""
        library = CachedTracks.read(self.lib, self.config, plan)
        unknown = sorted(ids - {*library.ids} - library.silent)
        if not unknown:
            return library
        if self.opts.pretend:
            say(f"{tracks(len(unknown))} not analysed yet, and not used")
            return library
        say(f"{tracks(len(unknown))} not analysed yet: analysing these first")
        with closing(make_tagger(self.config, self.log)) as tagger:
            run = Run(self.lib, tagger, self._quietly(), self.log)
            run.carry_out(Work(analyse=unknown))
        return CachedTracks.read(self.lib, self.config, plan)

    def _update_library(self) -> None:
        """Derive the fields of all tracks with cached predictions anew."""
        with closing(make_tagger(self.config, self.log)) as tagger:
            work = Work.find(self.lib, matching_ids(self.lib, []), tagger)
            run = Run(self.lib, tagger, self._quietly(), self.log)
            run.carry_out(Work(derive=work.derive))

    def _quietly(self) -> Values:
        """Return options of `beet soundtags`, without a line per track."""
        return Values(
            {
                "pretend": False,
                "write": None,
                "quiet": not sys.stdout.isatty(),
                "verbose": False,
            }
        )

    def _having(self, word: str) -> int:
        """Return how many tracks have a mood."""
        values = field_values(self.lib, "mood").values()
        return sum(word in fields.LIST_OF_NAMES.from_sql(v) for v in values)

    def _ask(
        self, word: str, query: list[str], library: CachedTracks, made: Learned
    ) -> None:
        """Name the tracks for which an answer would help most."""
        ids = [library.ids[row] for row in made.doubtful]
        if not ids:
            return
        items = {item.id: item for item in get_items(self.lib, ids)}
        say("least sure of these:")
        for row, each in zip(made.doubtful, ids):
            if each in items:
                name = item_name(items[each])
                say(f"  {made.scores[row]:.2f}  {name}  (id:{each})")
        agreed = f"is_{word}:=yes"
        again = query if agreed in query else [*query, ",", agreed]
        refused = f"{self.opts.refused or ''} , is_{word}:=no".lstrip(" ,")
        say(
            f"to answer: beet modify is_{word}=yes id:{ids[0]} (or no); then:"
            f" beet soundteach {word} {shlex.join(again)}"
            f" --not {shlex.quote(refused)}"
        )
