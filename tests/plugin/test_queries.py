"""Which items a command is about: those that `beet ls` lists, in its order."""

from __future__ import annotations

from collections import Counter

import pytest
from beets.dbcore import InvalidQueryError
from beets.dbcore.sort import NullSort
from beets.library import Album, Item, Library

from beetsplug.soundtags.database import field_values, matching_ids

QUERIES = [
    [],
    ["artist:a1"],
    ["artist:=a1", "title+"],
    ["title-"],
    ["year:1990..1994"],
    ["^artist:a1"],
    ["artist:a1", ",", "title:t3"],
    ["title::t[12]$"],
    ["mood:happy"],  # stored aside
    ["mood:happy", "title-"],
    ["danceability-"],
    ["albumartist:b1", "track+"],
    ["albumtotal:3"],  # computed
    ["album_id:2"],
    ["path:/music/2"],
    ["/music/2"],
    ["added-"],
    ["artist:nobody"],
    ["catalognum:x"],
    ["label_of_album:x"],  # of albums only
]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("library")
    library = Library(str(folder / "library.db"), "/music")
    for number in range(12):
        item = Item(
            title=f"t{11 - number}",
            artist=f"a{number % 3}",
            albumartist=f"b{number % 2}",
            year=1990 + number,
            path=f"/music/{number}.mp3".encode(),
            track=number % 5,
        )
        item["mood"] = "happy" if number % 4 == 0 else "sad"
        item["danceability"] = str(number / 12)
        library.add(item)
        item["soundtags_plan"] = "new" if number % 3 else "old"
        item.store()
    for start in (0, 6):
        items = list(library.items())[start : start + 6]
        album: Album = library.add_album(items)
        album["label_of_album"] = "x" if start else "y"
        album.store()
    return library


@pytest.mark.parametrize("query", QUERIES, ids=" ".join)
def test_items_are_those_of_beets_in_its_order(library, query):
    assert matching_ids(library, query) == [i.id for i in library.items(query)]


def test_no_order_is_one_too(library, monkeypatch):
    monkeypatch.setattr(library, "get_default_item_sort", NullSort)
    expected = [item.id for item in library.items()]
    monkeypatch.delattr(Library, "items")  # the database answers alone
    assert matching_ids(library, []) == expected


def test_most_queries_match_something(library):
    counts = [len(matching_ids(library, query)) for query in QUERIES]
    assert sum(count > 0 for count in counts) == 15
    assert len(set(counts)) > 5


def test_bad_queries_are_refused_as_ever(library):
    with pytest.raises(InvalidQueryError, match="year:nineteen"):
        matching_ids(library, ["year:nineteen"])


def test_what_was_analysed_is_known_by_its_plan(library):
    plans = field_values(library, "soundtags_plan")
    assert Counter(plans.values()) == {"old": 4, "new": 8}
    old = {i.id for i in library.items("soundtags_plan:old")}
    assert {each for each in plans if plans[each] == "old"} == old
