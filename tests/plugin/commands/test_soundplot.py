"""The command `beet soundplot`: pictures of tracks."""

from __future__ import annotations

import os
import re
import unicodedata
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from beets.library import Item
from matplotlib.figure import Figure
from matplotlib.image import imread
from support import made_up
from support.audio import noise, write_track
from support.beet import Beet
from support.paths import PLUGINS

from beetsplug.soundtags.commands.soundplot import file_name
from soundtags.collection.histograms import histograms
from soundtags.collection.plots import draw_histograms, draw_track
from soundtags.collection.profile import PATCHES, TrackProfile, profile_track
from soundtags.inference.latent_features import find_layer
from soundtags.inference.pooling import TrackPredictions
from soundtags.inference.predict import FilePredictor
from soundtags.labelling.interpret import Interpretation
from soundtags.labelling.scores import DECIMALS
from soundtags.models.plan import make_plan
from soundtags.models.settings import Settings

NOWHERE = Path("nowhere")


class Pool:
    """Makes predictions up, where a pool of sessions is wanted."""

    def run(self, job, rows, _spread) -> dict[str, np.ndarray]:
        return made_up.run(job, rows)


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Beet:
    """A library of two tracks of four seconds."""
    folder = tmp_path_factory.mktemp("in")
    for seed, title in enumerate("ab"):
        write_track(folder / f"{title}.flac", title, seed)
    beet = Beet(tmp_path_factory.mktemp("beets"))
    beet.configure(soundtags={"auto": False})
    beet("import", "-A", folder)
    return beet


@pytest.fixture
def library(beet: Beet, imported: Beet) -> Beet:
    """A copy of that library."""
    beet.begin_with(imported)
    beet.configure(soundtags={"auto": False})
    return beet


@pytest.mark.models
def test_a_picture_of_each_track_and_one_of_all(library: Beet, tmp_path: Path):
    folder = tmp_path / "new" / "pictures"
    done = library("soundplot", "-o", folder, "artist:Artist")
    assert done.stderr == ""
    a, b = library.ls("$id")
    names = [f"Artist - a ({a}).png", f"Artist - b ({b}).png", "scores.png"]
    assert sorted(os.listdir(folder)) == names
    assert done.stdout.splitlines() == [str(folder / name) for name in names]
    first, second, _ = (imread(folder / name) for name in names)
    assert first.shape == second.shape
    assert first.shape[1] == 1200
    assert not np.array_equal(first, second)


def test_into_this_folder_and_without_what_cannot_be_read(
    library: Beet, tmp_path: Path
):
    (item,) = library.items("title:a")
    Path(item["path"]).write_bytes(b"no music")
    here = tmp_path / "here"
    here.mkdir()
    done = library("soundplot", "artist:Artist", cwd=here)
    (line,) = done.stderr.splitlines()
    assert os.path.basename(item["path"]) in line
    assert len(os.listdir(here)) == 2  # the other, and the scores
    done = library("soundplot", "title:a", cwd=tmp_path, status=1)
    assert done.stderr.endswith("no track could be drawn\n")


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ([], "name the tracks"),
        (["title:nobody"], "no track matches"),
        (["-o", "file", "title:a"], "file: File exists"),
    ],
)
def test_what_cannot_be_done_is_said(
    library: Beet, args, reason, tmp_path: Path
):
    (tmp_path / "file").write_bytes(b"")
    done = library("soundplot", *args, status=1, cwd=tmp_path)
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("*.png*"))


def test_without_matplotlib_the_extra_is_named(library: Beet, tmp_path: Path):
    library.configure(
        plugins=["soundtags", "unplotted"], pluginpath=[str(PLUGINS)]
    )
    done = library("soundplot", "-o", tmp_path / "new", "title:a", status=1)
    (line,) = done.stderr.splitlines()
    assert re.search(r'pip install "beets-soundtags(-lite)?\[plot\]"', line)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("artist", "title", "name"),
    [
        ("A", "B", "A - B (7).png"),
        ("AC/DC", 'Who? "Me": <\\>|*', "AC_DC - Who_ _Me__ _____ (7).png"),
        ("", "..", "(7).png"),
        ("con.x", "y", "_con.x - y (7).png"),
        ("A", "e\u0301\x00\n\u202e", "A - \u00e9 (7).png"),
        ("A", "\udcff", "A (7).png"),
        ("", "ends.", "ends (7).png"),
    ],
)
def test_names_suit_any_file_system(artist, title, name):
    assert file_name(Item(id=7, artist=artist, title=title)) == name


@pytest.mark.parametrize("letter", ["a", "\u30c9", "\N{GUITAR}"])
def test_long_names_are_cut_between_characters(letter):
    item = Item(id=1234567, artist="A", title=letter * 300)
    name = file_name(item)
    assert 120 < len(name.encode()) <= 130
    assert name.endswith(f"{letter} (1234567).png")
    assert unicodedata.is_normalized("NFC", name)


def test_an_item_without_a_title_has_its_files_name():
    item = Item(id=7, path=b"/music/some.file.mp3")
    assert file_name(item) == "some.file (7).png"


@pytest.fixture(scope="module")
def plan():
    return make_plan(None, NOWHERE, Settings(), lambda _: None)


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of a few patches."""
    path = tmp_path_factory.mktemp("audio") / "track.wav"
    soundfile.write(path, noise(seconds=10), 44100)
    return path


@pytest.fixture(scope="module")
def profile(audio: Path, plan) -> TrackProfile:
    layer = find_layer("msd-musicnn-1", None, NOWHERE)
    return profile_track(audio, plan, layer, FilePredictor(Pool()))


def test_a_portrait_has_every_patch(profile: TrackProfile):
    # Half overlapping: every 93 frames of 16 ms, while there is room for 187.
    seconds = profile.analysis.predictions.seconds
    count = int((seconds - 187 * 0.016) / (93 * 0.016)) + 1
    assert abs(len(profile.times) - count) <= 1
    assert np.diff(profile.times) == pytest.approx(93 * 0.016)
    assert profile.latent.shape == (len(profile.times), 200)
    assert {len(rows) for rows in profile.tags.values()} == {len(profile.times)}


def test_its_tags_are_those_of_the_field(profile: TrackProfile):
    found = profile.analysis.fields["soundtags"]
    assert list(profile.tags)[: len(found)] == found
    means = [round(float(t.mean()), DECIMALS) for t in profile.tags.values()]
    assert means == sorted(means, reverse=True)


def test_without_an_auto_tagger_there_are_tags_all_the_same(
    profile: TrackProfile, audio: Path
):
    alone = make_plan(["mtt-vgg-1"], NOWHERE, Settings(), lambda _: None)
    nobody = make_plan([], NOWHERE, Settings(), lambda _: None)
    layer = find_layer("msd-musicnn-1", None, NOWHERE)
    only = profile_track(audio, alone, layer, FilePredictor(Pool()))
    none = profile_track(audio, nobody, layer, FilePredictor(Pool()))
    # Of the two vocabularies, one has harpsichords and one has decades.
    assert {"harpsichord", "80s"} & only.tags.keys() == {"harpsichord"}
    assert {"harpsichord", "80s"} & none.tags.keys() == {"80s"}
    assert np.array_equal(none.latent, profile.latent)


@pytest.fixture
def drawn(monkeypatch) -> list[Figure]:
    """The figures that are saved; their files are empty."""
    figures: list[Figure] = []

    def save(figure: Figure, _file: Any, **_options: Any) -> None:
        figures.append(figure)

    monkeypatch.setattr(Figure, "savefig", save)
    return figures


def imagined(plan, seconds: float, patches: int) -> TrackProfile:
    """Return a profile with more in it, and longer names, than usual."""
    rng = np.random.default_rng(0)
    fields = {"mood": ["happy"] * 40, "genres": ["\u30c9\u30e9\u30e0"] * 99}
    for name, target in plan.targets.items():
        if target.kind == "score":
            fields[name] = 0.4999
        elif target.kind == "text":
            fields.update({name: "a long name " * 9, f"{name}_score": 1.0})
    return TrackProfile(
        analysis=Interpretation(
            fields, TrackPredictions({}, seconds, 1.0, {}, {}), {}, {}
        ),
        times=np.linspace(0, max(0, seconds - 3), patches),
        extent=2.992,
        tags={f"{n} tag " * 9: rng.random(patches) for n in range(50)},
        latent=rng.standard_normal((patches, 200)),
        layer="model, layer",
    )


def texts(figure) -> list:
    """Return where the texts of a figure are that can be seen."""
    from matplotlib.axis import Tick
    from matplotlib.text import Text

    figure.draw_without_rendering()
    shown = {
        label
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in axis.get_major_ticks()
        if min(axis.get_view_interval())
        <= tick.get_loc()
        <= max(axis.get_view_interval())
        for label in (tick.label1, tick.label2)
    }
    # Some ticks are made, but not drawn.
    ticks = {
        label
        for tick in figure.findobj(Tick)
        for label in (tick.label1, tick.label2)
    }
    return [
        (text.get_text(), text.get_window_extent())
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text()
        if text in shown or text not in ticks
    ]


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize(
    ("seconds", "patches", "last"),
    [(2, 1, "0:02"), (6, 3, "0:06"), (206, 138, "3:00"), (36000, PATCHES, "")],
)
def test_texts_do_not_overlap(drawn, plan, seconds, patches, last, tmp_path):
    title = "$x^2$ and a title " * 20
    profile = imagined(plan, seconds, patches)
    draw_track(tmp_path / "track.png", title, profile, plan)
    (figure,) = drawn
    boxes = texts(figure)
    for (one, here), (other, there) in combinations(boxes, 2):
        # Boxes have room for accents, which lines may share.
        assert not here.padded(-2).overlaps(there.padded(-2)), (one, other)
    assert all(
        box.x0 >= 0 and box.x1 <= figure.bbox.width for _, box in boxes
    ), "outside"
    assert any(text.startswith("$x^2$") for text, _ in boxes)
    if last:
        assert last in [text for text, _ in boxes]


def test_axes_are_honest(drawn, plan, tmp_path):
    profile = imagined(plan, 60, 39)
    draw_track(tmp_path / "track.png", "title", profile, plan)
    taggram, latent, *_bars, scores = drawn[0].axes
    (mesh,) = taggram.collections
    assert mesh.get_clim() == (0, 1)
    assert taggram.get_xlim() == latent.get_xlim() == (0, 60)
    assert mesh.get_array().shape == (15, 39)
    assert np.array_equal(
        mesh.get_array()[0], next(iter(profile.tags.values()))
    )
    assert scores.get_xlim() == (0, 1)
    widths = {bar.get_width() for bar in scores.patches}
    assert widths == {0.4999, 1.0}
    assert len({bar.get_facecolor() for bar in scores.patches}) >= 2


def test_histograms_show_thresholds_and_all_tracks(drawn, plan, tmp_path):
    amounts = {"mood_happy": {0.1: 2, 0.6: 3}, "danceability": {0.5: 5}}
    found = histograms(
        amounts, plan.targets, Settings(thresholds={"happy": 0.6})
    )
    draw_histograms(tmp_path / "scores.png", "title", found)
    happy, dance = drawn[0].axes
    assert sum(bar.get_height() for bar in happy.patches) == 5
    assert happy.get_title() == "mood_happy\n2 below 0.6, 3 at or above"
    (line,) = happy.lines
    assert list(line.get_xdata()) == [0.6, 0.6]
    assert dance.get_title() == "danceability\n5 of the tracks"
    assert not dance.lines
    assert happy.get_xlim() == dance.get_xlim() == (0, 1)
