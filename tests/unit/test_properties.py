"""Properties of any values, names and queries."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from typing import TYPE_CHECKING

import mediafile
import pytest
import soundfile
from beets.library import Item
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.audio import MADE

from beetsplug.soundtags import fields
from beetsplug.soundtags.file_tags import write_tags
from beetsplug.soundtags.media_fields import media_field
from soundtags.audio.decoding import decode
from soundtags.labelling.scores import DECIMALS, share

if TYPE_CHECKING:
    from pathlib import Path

FEW = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SCORES = st.floats(0, 1).map(lambda score: round(score, DECIMALS))
# Lists are kept with a separator, and ID3 ends strings with a zero.
WORDS = st.text(
    st.characters(
        codec="utf-8", exclude_categories=["C"], exclude_characters="␀\\"
    ),
    min_size=1,
    max_size=30,
)


@pytest.fixture(scope="module")
def originals(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("originals")
    for ending in ("mp3", "flac", "m4a", "wma", "wv"):
        MADE[ending](folder / f"track.{ending}")
    return {path.suffix[1:]: path for path in folder.iterdir()}


@pytest.mark.parametrize("ending", ["mp3", "flac", "m4a", "wma", "wv"])
@FEW
@given(
    mood=st.lists(WORDS, max_size=4),
    score=st.none() | SCORES,
    voice=st.none() | WORDS,
)
def test_files_keep_the_tags_they_are_given(
    originals, ending, mood, score, voice
):
    with tempfile.TemporaryDirectory() as folder:
        path = shutil.copy(originals[ending], folder)
        values = {
            "mood": mood,
            "danceability": score,
            "voice_instrumental": voice,
        }
        write_tags(path, values, id3v23=False)
        file = mediafile.MediaFile(path)
        kinds = {"mood": list, "danceability": float, "voice_instrumental": str}
        held = {
            name: media_field(name, kind).__get__(file)
            for name, kind in kinds.items()
        }
        assert (held["mood"] or []) == mood
        assert held["danceability"] == score
        assert held["voice_instrumental"] == voice
        assert not write_tags(path, values, id3v23=False)


@FEW
@given(
    scores=st.lists(st.none() | SCORES, min_size=1, max_size=8),
    low=SCORES,
    high=SCORES,
)
def test_ranges_match_the_scores_within(scores, low, high):
    query = fields.NumberQuery("danceability", f"{low}..{high}")
    for score in scores:
        item = Item() if score is None else Item(danceability=score)
        assert query.match(item) == (score is not None and low <= score <= high)


@given(
    st.dictionaries(
        st.sampled_from("abcd"), st.floats(0, 1e6), min_size=1, max_size=4
    )
)
def test_shares_are_scores(means):
    shares = {name: share(means, name) for name in means}
    if sum(means.values()) > 0:
        assert all(0 <= each <= 1 for each in shares.values())
        assert math.isclose(sum(shares.values()), 1, abs_tol=3e-4)
        ascending = [shares[name] for name in sorted(means, key=means.get)]
        assert ascending == sorted(ascending)
    else:
        assert set(shares.values()) == {None}


@pytest.mark.skipif(os.name == "nt", reason="Windows has names of its own")
@FEW
@given(
    name=st.binary(min_size=1, max_size=200).map(
        lambda name: name.replace(b"/", b"_").replace(b"\0", b"_")
    )
)
def test_a_file_may_have_any_name(originals, name):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(os.fsencode(folder), name + b".flac")
        try:
            shutil.copy(originals["flac"], path)
        except OSError:
            return  # not on this file system
        count = sum(len(block) for block in decode(path).blocks)
        assert count == soundfile.info(originals["flac"]).frames
        assert write_tags(path, {"mood": ["happy"]}, id3v23=False)
        assert os.listdir(os.fsencode(folder)) == [name + b".flac"]
