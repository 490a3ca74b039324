"""Compares what the database finds with what queries match in Python.

    python -m support.matching answered QUERY...
    python -m support.matching same
    python -m support.matching opened

Needs a process of its own, where beets has loaded the plugins of BEETSDIR.
``answered`` prints those of some queries that the database answers alone.
``same`` fails if any query finds other tracks, or albums, than it matches.
``opened`` asks a library that was opened before the plugins were loaded.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Callable

from beets import config, plugins
from beets.dbcore.query import ParsingError
from beets.library import Album, Item, Library
from beets.library.queries import parse_query_parts
from hypothesis import example, given, reject, settings
from hypothesis import strategies as st

LISTS = ["mood", "soundtags"]
NUMBERS = ["danceability", "mood_happy"]
TEXTS = ["voice_instrumental", "soundtags_plan", "of_another_plugin"]
ITEMS, ALBUMS = 9, 4
WORDS = """
happy|Happy|party|hip hop|None|mi|i|k|ß|ẞ|å|Ärger|ärger|😀|%|_|a\\|"|;|x;y
"""
CAPITALS = ["u\u0308", "M\u0130", "\u212a", "\u212b", "\u03a3\u03b1\u03a3"]
NUMERALS = """
0.8|0.8000|0.0|1.0|-0.2|5.|+1|.5|1.0e-05|1e400|nan|inf|Infinity|1_0|0x1|1e|abc|१
"""
REGEXES = ["", "^h", "y$", "^$", ".", "^.$", r"\d", r"\bhop", "a|b", "(?i)PY"]

# What is stored, and the query.
TRAPS = [
    ("M\u0130", "voice_instrumental:mi"),
    ("M\u0130", "mood:mi"),
    ("\u212aing", "mood:king"),
    ("\u03a3\u03b1\u03a3", "mood:\u03c3\u03b1\u03c2"),
    ("", "mood:"),
    ("\u212aing", "mood::K"),
    ("\u212aing", "voice_instrumental::^\u212a"),
    ("u\u0308ber", "mood::^\u00fcb"),
    ("u\u0308ber", "mood:\u00fc"),
    ("", "mood::^$"),
    ("", "^voice_instrumental:="),
    (None, "voice_instrumental:="),
    ("happy; hip hop", "mood:=hip hop"),
    ("happy; hip\\␀hop", "mood:=happy; hip"),
    ("happy; party", "mood: party"),
    ("abc", "danceability:0.."),
    ("nan", "^danceability:nan"),
    ("0.80", "danceability:0.8"),
    ("9007199254740993", "danceability:9007199254740993"),
]

words = st.sampled_from(
    ["", " ", *CAPITALS, *WORDS.strip().split("|")]
) | st.text(
    st.characters(codec="utf-8", exclude_categories=["M", "Cc"]), max_size=3
)
lists = st.lists(words, max_size=3)
texts = (
    words
    | lists.map("\\␀".join)
    | lists.map("; ".join)
    | st.sampled_from(["happy; party", "happy\\␀hip hop"])
)
numerals = st.sampled_from([" .5 ", *NUMERALS.strip().split("|")]) | st.floats(
    0, 1
).map(lambda score: round(score, 4))
bounds = st.sampled_from(["", "0", "0.5", "0.8", "1", "-1", "nan", "inf"])
patterns = st.one_of(
    words,
    words.map("={}".format),
    words.map("=~{}".format),
    words.map(lambda word: ":" + re.escape(word)),
    st.sampled_from(REGEXES).map(":{}".format),
)
ranges = bounds | st.builds("{}..{}".format, bounds, bounds)
others = st.sampled_from(
    ["genres:rock", "album:a", "artpath::x", "b", ",", "album-"]
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict, dict, list[str]]:
    """Draw values of tracks and of albums, and a query about them."""
    asked = draw(st.sampled_from([*LISTS, *NUMBERS, *TEXTS]))
    usual, unusual = texts, numerals
    if asked in NUMBERS:
        usual, unusual = numerals, texts
    stored = usual | st.none() | usual | unusual
    keys = st.sampled_from([asked, asked, asked, asked.title(), "track_mood"])
    rows, albums = (
        draw(
            st.dictionaries(
                st.tuples(st.integers(1, count), keys), stored, min_size=count
            )
        )
        for count in (ITEMS, ALBUMS)
    )
    forms = ranges | patterns if asked in NUMBERS else patterns
    ours = st.builds(
        "{}{}:{}".format, st.sampled_from(["", "^"]), st.just(asked), forms
    )
    query = draw(st.lists(ours | ours | others, min_size=1, max_size=3))
    return rows, albums, query


def fill(library: Library) -> None:
    """Add albums of two tracks, tracks without one, and one without tracks."""
    for number in range(ITEMS):
        item = Item(
            title=f"title {number}",
            album="ab"[number % 2],
            track=number % 4,
            genres=["Rock"] if number % 3 else ["Jazz"],
        )
        library.add(item)
    for start in (1, 3, 5):
        items = [library.get_item(start), library.get_item(start + 1)]
        library.add_album(items)
    library.add(Album(album="a"))


def replace_attributes(library: Library, rows: dict, albums: dict) -> None:
    with library.transaction() as transaction:
        for table, values in (
            ("item_attributes", rows),
            ("album_attributes", albums),
        ):
            transaction.mutate(f"DELETE FROM {table}")
            transaction.mutate_many(
                f"INSERT INTO {table} (entity_id, key, value) VALUES (?, ?, ?)",
                [(*key, value) for key, value in values.items()],
            )


def matching(library: Library, model: type, parts: list[str]) -> list[int]:
    query, _ = parse_query_parts(parts, model)
    fetch = library.items if model is Item else library.albums
    return sorted(each.id for each in fetch() if query.match(each))


def found(library: Library, model: type, parts: list[str]) -> list[int]:
    fetch = library.items if model is Item else library.albums
    return sorted(each.id for each in fetch(parts))


def with_traps(test: Callable) -> Callable:
    """Add cases that chance rarely finds."""
    for (stored, query), model in itertools.product(TRAPS, (Item, Album)):
        name = query.strip("^").partition(":")[0]
        for key in (name, name.title()):
            case = ({(1, key): stored}, {(2, key): stored}, [query])
            test = example(case=case, model=model)(test)
    return test


@with_traps
@settings(max_examples=60, deadline=None, database=None)
@given(case=cases(), model=st.sampled_from([Item, Item, Album]))
def check(library, case, model):
    rows, albums, parts = case
    replace_attributes(library, rows, albums)
    try:
        expected = matching(library, model, parts)
    except ParsingError:
        reject()  # such as a word for a number
    except TypeError:
        reject()  # beets cannot compare an empty value of a plugin's own type
    assert found(library, model, parts) == expected


def answered(part: str) -> bool:
    model = Album if part.startswith("-a ") else Item
    query, _ = parse_query_parts(part.removeprefix("-a ").split(), model)
    return query.clause()[0] is not None


def main() -> None:
    config.read()
    what, *rest = sys.argv[1:]
    if what == "opened":
        library = Library(config["library"].as_filename())
        library.add(Item(mood="happy"))
        plugins.load_plugins()
        assert found(library, Item, ["mood::^h"]) == [1]
        return
    plugins.load_plugins()
    if what == "answered":
        sys.stdout.writelines(f"{part}\n" for part in rest if answered(part))
    else:
        library = Library(config["library"].as_filename())
        fill(library)
        check(library)


if __name__ == "__main__":
    main()
