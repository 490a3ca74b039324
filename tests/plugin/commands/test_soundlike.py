"""The command `beet soundlike`: more of the same."""

from __future__ import annotations

import mediafile
import numpy as np
import pytest
import soundfile
from support.audio import noise
from support.beet import Beet

from soundtags.collection.similarity import nearest


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


@pytest.mark.parametrize("option", [[], ["-p"]])
def test_lines_are_as_beets_prints_them(library: Beet, option):
    done = library("soundlike", *option, "title:flute")
    expected = library("ls", *option, "title:beat")
    lines = done.stdout.splitlines()
    assert sorted(lines) == sorted(expected.stdout.splitlines())


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (
            ["title:unheard"],
            "no matching track has been analysed with msd-",
        ),
        (["title:none"], "no matching track has been analysed"),
        (["-n", "0", "title:beat"], "--number: 0 is not 1 or more"),
        (["-m", "nonsense", "title:beat"], "no model nonsense"),
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
