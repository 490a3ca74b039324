"""Playlists: what is chosen for a recipe, and in which order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundtags.collection.playlists import Tracks, choose, space_out
from soundtags.collection.recipes import Range, expand, parse_recipe
from soundtags.errors import UnusableRecipe


def make(artists=None, albums=None, **columns) -> Tracks:
    """Tracks with some fields, each of an artist and an album of its own."""
    size = len(next(iter(columns.values())))
    places = np.arange(size)
    return Tracks(
        places + 1,
        places if artists is None else np.array(artists),
        places if albums is None else np.array(albums),
        columns,
    )


def chosen(data: dict, tracks: Tracks, **options) -> list[int]:
    return choose(parse_recipe("x", data), tracks, **options).places.tolist()


def test_the_best_come_first_and_others_not_at_all():
    tracks = make(energy=["0.5", "0.9", None, "0.1", "0.7"])
    assert chosen({"by": {"energy": 1}}, tracks) == [1, 4, 0]
    calm = {"by": {"energy": -1}, "fit": "0.3..0.6"}
    assert chosen(calm, tracks) == [3, 0, 4]
    limits = {"by": {"energy": 1}, "where": {"energy": "0.1..0.8"}, "fit": 0}
    assert chosen(limits, tracks) == [4, 0, 3]


def test_one_low_score_is_enough_not_to_fit():
    tracks = make(
        a=["0.6", "1.0", "0.6", "0.7"], b=["0.6", "0.1", "0.7", "0.7"]
    )
    assert chosen({"by": {"a": 1, "b": 1}}, tracks) == [3, 2, 0]


def test_length_adapts_to_the_collection():
    scores = np.linspace(0, 1, 2001)
    recipe = {"by": {"energy": 1}, "tracks": "30..200", "fit": "0.4..0.6"}
    # Of many that fit, the best.
    assert chosen(recipe, make(energy=scores)) == [*range(2000, 1800, -1)]
    # Of some, all.
    assert len(chosen(recipe, make(energy=scores[::20]))) == 41
    # Of few, also those that fit less, but none that does not.
    found = chosen(recipe, make(energy=scores[::50]))
    assert found == [*range(40, 15, -1)]
    assert chosen(recipe, make(energy=[0.9, 0.8])) == []


def test_words_count_by_their_place():
    tracks = make(
        genres=[["Pop", "Rock"], "Rock", None, ["rock", "Pop"], "Pop"]
    )
    recipe = {"where": {"genres": "rock"}, "fit": "0.3..0.4"}
    found = chosen(recipe, tracks)
    assert {*found[:2]} == {1, 3}
    assert found[2:] == [0]


def test_albums_take_turns():
    tracks = make(
        albums=[0] * 10 + [1] * 10,
        artists=range(20),
        energy=[0.95] * 10 + [0.93] * 10,
    )
    found = chosen({"by": {"energy": 1}}, tracks)
    assert [place // 10 for place in found[:6]] == [0, 1, 0, 1, 0, 1]


def test_an_album_does_not_make_a_playlist_long():
    tracks = make(albums=[0] * 100, energy=[0.9] * 100)
    assert len(chosen({"by": {"energy": 1}}, tracks)) == 30


@given(st.lists(st.integers(0, 3), max_size=30))
def test_artists_are_spaced_out_where_they_can_be(artists):
    order = space_out(artists)
    assert sorted(order) == [*range(len(artists))]
    found = [artists[place] for place in order]
    runs = [found[n : n + 3] for n in range(len(found) - 2)]
    most = max(map(artists.count, artists), default=0)
    if most <= 2 * (len(artists) - most + 1):
        assert all(len({*run}) > 1 for run in runs)


def test_thresholds_hold_for_about_the_same_tracks():
    rng = np.random.default_rng(0)
    energy, danceability = rng.random((2, 3000))
    tracks = make(energy=energy, danceability=danceability)
    recipe = parse_recipe("x", {"by": {"energy": 1, "danceability": -1}})
    playlist = choose(recipe, tracks)
    inside = np.ones(3000, bool)
    for field, limits in playlist.conditions.items():
        inside &= tracks.strengths(field, limits) > 0
    assert 100 < inside.sum() <= len(playlist.places) == 200
    assert np.isin(np.flatnonzero(inside), playlist.places).mean() > 0.8


def test_one_recipe_makes_many():
    data = {"each": "genre", "where": {"genres": "$genre"}}
    made = dict(expand("genre", data, {"genre": ["Drum/Bass", "Drum & Bass"]}))
    assert list(made) == ["genre-drum-bass", "genre-drum-bass-2"]
    recipe = parse_recipe("x", made["genre-drum-bass"] | {"each": "genre"})
    assert recipe.where == {"genres": "Drum/Bass"}
    assert recipe.title == "Drum/Bass"


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ("energy", "entries are needed"),
        ({"b": {"energy": 1}}, "b: unknown; entries are: title"),
        ({"title": "x"}, "one of where, query and by"),
        ({"by": ["energy"]}, "by: ['energy'] is not a mapping"),
        ({"by": {"energy": "high"}}, "by: energy: 'high' is not a weight"),
        ({"by": {"energy": 0}}, "by: energy: 0 is not a weight"),
        ({"where": {"energy": "0.8..0.2"}}, "'0.8..0.2' is not a range"),
        ({"where": {"energy": ["a"]}}, "where: energy: ['a'] is neither"),
        ({"query": 3}, "query: 3 is not a query"),
        ({"query": "a", "fit": "good"}, "fit: 'good' is not a range"),
        ({"query": "a", "tracks": float("nan")}, "tracks: nan is not a range"),
        ({"query": "a", "tracks": "0..0"}, "tracks: 0..0 allows no tracks"),
    ],
)
def test_what_is_wrong_is_named(data, complaint):
    with pytest.raises(UnusableRecipe) as caught:
        parse_recipe("x", data)
    assert complaint in str(caught.value)


def test_each_of_what_is_named():
    with pytest.raises(
        UnusableRecipe, match="each: 'year' is not one of: word"
    ):
        list(expand("x", {"each": "year"}, {"word": []}))


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("0.5..", Range(0.5, np.inf)),
        ("..0.4", Range(-np.inf, 0.4)),
        (7, Range(7, 7)),
    ],
)
def test_ranges_are_those_of_beets(text, limits):
    recipe = parse_recipe("x", {"where": {"energy": text}})
    assert recipe.where == {"energy": limits}
