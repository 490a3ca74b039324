"""The command `beet soundlike`: more of the same."""

from __future__ import annotations

from pathlib import Path

import mediafile
import numpy as np
import pytest
import soundfile
from support.audio import noise
from support.beet import Beet

from soundtags.collection.similarity import distinct, nearest, path


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Beet:
    """A library of two tracks that are alike, another, and one unheard."""
    beet = Beet(tmp_path_factory.mktemp("beets"), models=True)
    beet.configure()
    folder = beet.folder / "in"
    folder.mkdir()
    seconds = np.arange(4 * 44100) / 44100
    flute = 0.3 * np.sin(2 * np.pi * 660 * seconds)
    pieces = {"beat": noise(), "beats": noise(seed=1), "flute": flute}
    for title, samples in {**pieces, "unheard": flute}.items():
        path = folder / f"{title}.flac"
        soundfile.write(path, samples, 44100)
        file = mediafile.MediaFile(path)
        file.title = title
        file.save()
    beet("import", "-A", folder)
    beet("modify", "-yW", "soundtags_input!", "title:unheard")
    return beet


def like(beet: Beet, *args: str) -> list[str]:
    return beet("soundlike", "-f", "$title", *args).stdout.splitlines()


def test_what_is_alike_comes_first(library: Beet):
    assert like(library, "title:=beat") == ["beats", "flute"]
    assert len(like(library, "-n", "1", "title:flute")) == 1
    # Of several, what is near to all of them.
    assert like(library, "title:beat") == ["flute"]


def test_a_path_leads_from_one_to_another(library: Beet):
    ends = ["--path", "title:=beat", "title:flute"]
    assert like(library, *ends) == ["beat", "beats", "flute"]
    assert like(library, "-n", "2", *ends) == ["beat", "flute"]
    back = ["--path", "title:flute", "title:=beat"]
    assert like(library, *back) == ["flute", "beats", "beat"]


def test_diverse_leaves_out_the_same_album(library: Beet):
    assert like(library, "--diverse", "title:=beat") == []


@pytest.mark.parametrize("option", ["-p", "--paths"])
def test_lines_are_as_beets_prints_them(library: Beet, option):
    done = library("soundlike", option, "title:flute")
    expected = library("ls", "-p", "title:beat")
    lines = done.stdout.splitlines()
    assert sorted(lines) == sorted(expected.stdout.splitlines())


def test_tracks_without_an_artist_go_by_the_names_of_their_files(library: Beet):
    done = library("soundlike", "title:flute")
    paths = library("ls", "-p", "title:beat").stdout.splitlines()
    names = [Path(each).name for each in paths]
    assert sorted(done.stdout.splitlines()) == sorted(names)


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (
            ["title:unheard"],
            "no matching track has been analysed with msd-",
        ),
        (["title:nobody"], "no track matches"),
        (["-n", "0", "title:beat"], "--number: 0 is not 1 or more"),
        (["-m", "nonsense", "title:beat"], "no model nonsense"),
        (["--path", "title:beat", "title:flute"], "matches 2 tracks; it must"),
        (["--path", "title:flute", "title:x"], "'title:x' matches 0 tracks"),
        (["--path", "id:1", "id:1"], "both queries match the same track"),
        (["--path", "title:flute", "title:unheard"], "has not been analysed"),
        (["--path", "'a", "id:1"], '--path: "\'a": No closing quotation'),
        (["--path", "id:1", "id:2", "x"], "--path takes two queries"),
        (["--path", "id:1", "id:2", "-n", "1"], "1 is not 2 or more"),
        (["--path", "id:1", "id:2", "--diverse"], "exclude each other"),
        (["-m", "msd-vgg-1", "title:beat"], "analysed with msd-vgg-1"),
    ],
)
def test_what_cannot_be_done_is_said(library: Beet, args, complaint):
    done = library("soundlike", *args, status=1)
    (line,) = done.stderr.splitlines()
    assert complaint in line


def test_the_nearest_have_the_smallest_angles():
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(300, 20)).astype(np.float32)
    embeddings[7] = 0  # of silence, say
    seeds = np.array([3, 4])
    unit = embeddings / np.maximum(
        np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-9
    )
    cosines = unit @ unit[seeds].mean(axis=0)
    expected = [n for n in np.argsort(-cosines) if n not in seeds]
    assert nearest(embeddings, seeds, 10).tolist() == expected[:10]
    assert nearest(embeddings, seeds, 999).tolist() == expected
    assert nearest(embeddings, np.arange(300), 5).tolist() == []


def test_steps_of_a_path_are_small():
    # An arc of directions, and others beside it.
    rng = np.random.default_rng(0)
    angles = np.linspace(0, np.pi / 2, 200)
    arc = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    embeddings = rng.normal(scale=0.02, size=(1000, 8))
    embeddings[:200, :2] += arc
    embeddings[200:, 2:] += rng.normal(size=(800, 6))
    embeddings = embeddings.astype(np.float32)
    found = path(embeddings, (0, 199), 12, np.arange(1000))
    assert len(found) == len({*found}) == 12
    assert (found[0], found[-1]) == (0, 199)
    assert max(found) < 200
    assert max(np.diff(angles[found])) < 0.25  # 0.14 if all were the same


def test_a_path_avoids_copies_and_an_artist_twice():
    angles = np.linspace(0, 1.5, 60)
    arc = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    embeddings = np.repeat(arc, 2, axis=0).astype(np.float32)
    artists = np.arange(120) // 2 % 3
    found = path(embeddings, (0, 119), 6, artists)
    assert len(found) == 6
    assert all(np.diff(artists[found]))


def test_a_path_is_as_long_as_it_can_be():
    embeddings = np.eye(4, dtype=np.float32)
    embeddings[3] = 0  # of silence
    found = path(embeddings, (0, 1), 10, np.arange(4))
    assert sorted(found) == [0, 1, 2, 3]
    assert path(embeddings, (0, 1), 2, np.arange(4)) == [0, 1]


def test_distinct_tracks_share_nothing():
    artists = np.array([1, 2, 2, 3, 4])
    albums = np.array([1, 1, 2, 3, 3])
    assert list(distinct([1, 2, 3, 4], [0], artists, albums)) == [2, 3]
