"""The command `beet soundreport`: a page about the collection."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import re
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from beets.library import Item, Library
from support.audio import copy_into, write_track
from support.beet import SEPARATOR, Beet
from support.browser import FRAME, Page, browsing, find_browser
from support.needs import VERSION
from support.standins import write_standin

from soundtags.collection.disagreement import RANKS, SCORES, find_disagreements
from soundtags.collection.projection import project
from soundtags.collection.report.page import (
    Collection,
    ListSummary,
    Map,
    page,
)
from soundtags.inference.cache import PredictionCache
from soundtags.inference.pooling import TrackPredictions
from soundtags.models import catalogue
from soundtags.models.plan import make_plan
from soundtags.models.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

NOWHERE = Path("nowhere")
MAKER = f"beets-soundtags {VERSION}"
# In a file's name that is in no known encoding; Windows has no such names.
UNKNOWN = "?" if os.name == "nt" else "\udcff"
EVIL = [
    "</script><script>window.broken = true</script>",
    "<!-- <script> \"quoted\" & 'quoted' &amp; ${1}",
    "<img src=x onerror='window.broken = true'>",
    "line\u2028paragraph\u2029end \u30c9\u30e9\u30e0 \N{GUITAR}",
]


class Parsed(HTMLParser):
    """What there is in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.texts.setdefault(tag, []).append("")

    def handle_data(self, data):
        if self.cdata_elem:  # in a script or a style
            self.texts[self.cdata_elem][-1] += data

    @property
    def data(self) -> dict:
        """What its script reads."""
        return json.loads(self.texts["script"][0])


@pytest.fixture(scope="module")
def plan():
    return make_plan(None, NOWHERE, Settings(), print)


def hear(beet: Beet, plan, number: int, embedding: np.ndarray) -> str:
    """Have the auto-taggers have heard something; return what it was."""
    rng = np.random.default_rng(number)
    name = f"audio{number}"
    (front_end,) = plan.front_ends
    said = {m.id: rng.random(len(m.metadata.classes)) for m in plan.models}
    heard = TrackPredictions(
        {front_end: name},
        60.0,
        0.0 if number == 5 else 0.1,
        said,
        {model.id: embedding for model in plan.fed},
    )
    with closing(PredictionCache(beet.folder / "soundtags.db")) as store:
        store.save(heard, plan)
    return name


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, plan) -> Beet:
    """A library of seven tracks: one is silent, one is not analysed.

    No files are needed.
    """
    beet = Beet(tmp_path_factory.mktemp("beets"))
    beet.configure()
    library = Library(str(beet.folder / "library.db"), str(beet.folder))
    rng = np.random.default_rng(0)
    for number, name in enumerate([*EVIL, "", "silent"]):
        item = Item(
            title=name, path=os.fsencode(f"/music/{number} {UNKNOWN}.mp3")
        )
        item.artist = item.album = name
        item.length = 3600.0
        item.genres = ["Jazz", "Blues"] if number % 2 else [EVIL[0]]
        item["soundtags_plan"] = "any"
        item["soundtags_input"] = hear(beet, plan, number, rng.normal(size=200))
        if name != "silent":
            item["danceability"] = str(number / 10)
            item["mood_happy"] = "nan" if number == 1 else "1.0"
            item["mood"] = f"happy{SEPARATOR}sad" if number < 3 else "sad"
        library.add(item)
    # A title that no artist is known for says little.
    library.add(Item(title="new", path=b"/music/new.ogg", length=1800.0))
    return beet


@pytest.fixture
def library(beet: Beet, filled: Beet) -> Beet:
    """A copy of that library."""
    beet.begin_with(filled)
    return beet


@pytest.fixture(scope="module")
def whole(filled: Beet) -> str:
    """The page about all of that library."""
    return report(filled)


def report(beet: Beet, *query: str) -> str:
    """Return the page."""
    path = beet.folder / "report.html"
    beet("soundreport", "-o", path, *query)
    return path.read_text(encoding="ascii")


def test_the_page_holds_what_the_library_has(whole: str):
    data = Parsed(whole).data
    assert data["analysed"] == 6
    assert data["minutes"] == 390
    column = dict(zip(data["title"], range(7)))
    # Names of files stand in for titles.
    assert set(column) == {*EVIL, f"4 {UNKNOWN}.mp3", "silent", "new.ogg"}
    last = column[f"4 {UNKNOWN}.mp3"]
    assert data["scores"]["danceability"][last] == 4000
    assert data["scores"]["danceability"][column["silent"]] is None
    assert data["scores"]["mood_happy"][column[EVIL[1]]] is None
    assert set(data["scores"]) == {"danceability", "mood_happy"}

    def names(field: str, title: str) -> list[str]:
        of = data[field]["of"][column[title]]
        return [data[field]["names"][each] for each in of]

    assert names("moods", EVIL[0]) == ["happy", "sad"]
    assert names("moods", "new.ogg") == names("genres", "new.ogg") == []
    assert names("genres", EVIL[1]) == ["Jazz", "Blues"]
    assert names("genres", EVIL[2]) == [EVIL[0]]
    assert all(names("artist", each) == [each] for each in EVIL)
    # Nothing is said of silence, and nothing known of what is new.
    assert data["map"]["model"] == "msd-musicnn-1"
    for places in (data["map"]["of"], data["disagreements"]["of"]):
        nowhere = [n for n, each in enumerate(places) if each is None]
        assert nowhere == sorted([column["silent"], column["new.ogg"]])


def test_names_cannot_break_out(whole: str):
    parsed = Parsed(whole)
    assert [tag for tag, _ in parsed.tags].count("script") == 2
    assert "img" not in dict(parsed.tags)
    assert set(EVIL) < set(parsed.data["title"])
    # Without these, no browser sees anything but data there.
    assert not set("<>&") & set(parsed.texts["script"][0])


def test_the_page_loads_nothing_and_runs_only_its_own(whole: str):
    parsed = Parsed(whole)
    for _, attributes in parsed.tags:
        assert not attributes.keys() & {"src", "href", "style", "onclick"}
    (policy,) = [
        a["content"]
        for _, a in parsed.tags
        if a.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(each.strip().split(" ", 1) for each in policy.split(";"))
    assert rules["default-src"] == "'none'"
    for rule, text in (
        ("script-src", parsed.texts["script"][-1]),
        ("style-src", parsed.texts["style"][0]),
    ):
        digest = hashlib.sha256(text.encode()).digest()
        assert rules[rule] == f"'sha256-{base64.b64encode(digest).decode()}'"
    assert "innerHTML" not in parsed.texts["script"][-1]
    assert "http" not in parsed.texts["script"][-1]


def test_a_query_chooses(library: Beet):
    data = Parsed(report(library, "genres:jazz", "danceability:0.2..")).data
    assert data["query"] == "genres:jazz danceability:0.2.."
    assert data["title"] == [EVIL[3]]
    assert data["map"]["of"] == [[0, 0]]


def test_the_same_again(library: Beet, whole: str):
    assert report(library) == whole


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        ([], "name the file to write: -o FILE"),
        (["-o", "out.html", "title:nobody"], "no track matches"),
        (
            ["-o", "out.html", "title:new"],
            "no matching track has been analysed; run: beet soundtags",
        ),
        (["-o", "no/where.html"], "no/where.html: "),
        (["-o", "folder"], "folder: "),
    ],
)
def test_what_cannot_be_done_is_said(
    library: Beet, args, complaint, tmp_path: Path
):
    folder = tmp_path / "here"
    (folder / "folder").mkdir(parents=True)
    done = library("soundreport", *args, status=1, cwd=folder)
    (line,) = done.stderr.splitlines()
    assert complaint in line
    assert [each.name for each in folder.iterdir()] == ["folder"]


def test_a_page_that_cannot_be_made_leaves_the_last_one(library: Beet):
    path = library.folder / "report.html"
    path.write_text("before")
    library("soundreport", "-o", path, "title:nobody", status=1)
    assert path.read_text() == "before"


def test_without_predictions_there_is_no_map(library: Beet):
    (library.folder / "soundtags.db").unlink()
    data = Parsed(report(library)).data
    assert data["map"] is None
    assert not any(data["disagreements"]["of"])
    assert len(data["title"]) == 7


def test_the_map_is_an_auto_taggers(library: Beet):
    name = "genre_dortmund-musicnn-msd-2"
    facts = catalogue.published()[name].metadata
    folder = library.folder / "soundtags-models"
    folder.mkdir()
    write_standin(
        folder / f"{name}.pb",
        facts.algorithm,
        dict(facts.outputs),
        len(facts.classes),
        None,
        facts.input,
    )
    more = make_plan(None, folder, Settings(), print)
    # Also where it comes first, and has heard more.
    assert more.fed[0].id == name
    rng = np.random.default_rng(0)
    for number in range(7):
        hear(library, more, number, rng.normal(size=200))
    assert Parsed(report(library)).data["map"]["model"] == "msd-musicnn-1"


def test_of_music(beet: Beet, tmp_path: Path):
    for seed, title in enumerate("ab"):
        write_track(tmp_path / f"{title}.flac", title, seed)
    beet("import", "-A", copy_into(tmp_path / "in", *tmp_path.glob("*.flac")))
    data = Parsed(report(beet)).data
    assert data["maker"] == MAKER
    assert data["title"] == ["a", "b"]
    assert data["analysed"] == 2
    # Two tracks are as far apart as can be, on the first axis alone.
    assert sorted(data["map"]["of"]) == [[-2000, 0], [2000, 0]]
    scores = [float(each["danceability"]) for each in beet.items()]
    found = [each / data["unit"] for each in data["scores"]["danceability"]]
    assert found == scores
    assert {"energy", "valence"} < set(data["scores"])
    assert data["own"] == {"genres": [], "moods": []}
    beet("modify", "-yW", "mood=mine", "genres=Mine", "title:=b")
    own = Parsed(report(beet)).data["own"]
    assert own == {"genres": [1], "moods": [1]}


def test_words_that_the_user_has_taught(library: Beet, whole: str):
    assert Parsed(whole).data["taught"] == []
    query = f"artist:={EVIL[0]}"
    for word in ("gym", "loud"):
        library.know(word)
    scores = ["mood_gym=0.7", "mood_loud=very", "mood_made_by_hand=0.7"]
    library("modify", "-yW", *scores, query)
    data = Parsed(report(library)).data
    assert data["taught"] == ["gym"]  # the second has no scores
    assert "gym" in data["moods"]["names"]
    assert data["scores"]["mood_gym"] == [
        7000 if each == EVIL[0] else None for each in data["title"]
    ]


def test_lists_are_those_of_soundlists(beet: Beet):
    library = Library(str(beet.folder / "library.db"), str(beet.folder))
    scores = {"mood_sad": "0.9", "valence": "0.1", "mood_aggressive": "0.1"}
    for name in "abcd":
        item = Item(title=name, artist=name, path=f"/music/{name}".encode())
        item.update({"soundtags_plan": "any", **scores})
        library.add(item)
    lists = Parsed(report(beet)).data["lists"]
    listed = beet("soundlists", "--list").stdout
    lengths = re.findall(r"^\S+ +(\d+)  fit", listed, re.MULTILINE)
    assert [each["count"] for each in lists] == list(map(int, lengths))
    (sad,) = (each for each in lists if each["title"] == "Melancholy")
    assert sad["count"] == 4
    assert {*sad["first"]} < {f"{name} - {name}" for name in "abcd"}


def test_the_map_keeps_what_can_be_kept():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 50))
    kinds = rng.integers(0, 3, 300)
    embeddings = centres[kinds] + 0.1 * rng.normal(size=(300, 50))
    embeddings *= rng.uniform(0.5, 9, (300, 1))  # angles count
    places, share = project(embeddings)
    assert places.shape == (300, 2)
    assert np.abs(places).max() == pytest.approx(1)
    assert 0.8 < share < 1
    middles = np.stack([places[kinds == n].mean(axis=0) for n in range(3)])
    gaps = np.linalg.norm(places[:, None] - middles, axis=2)
    assert (gaps.argmin(axis=1) == kinds).all()

    # Whatever the order, a track has its place.
    order = rng.permutation(300)
    moved, _ = project(embeddings[order])
    assert moved == pytest.approx(places[order], abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_axes_point_to_one_side_on_every_machine(seed):
    embeddings = np.random.default_rng(seed).normal(size=(40, 9))
    places, _ = project(embeddings)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    # How much of each dimension there is in an axis, but for its length.
    axes = places.T @ (unit - unit.mean(axis=0))
    assert all(axis[np.abs(axis).argmax()] > 0 for axis in axes)


@pytest.mark.parametrize(
    "embeddings",
    [np.zeros((3, 8)), np.ones((1, 8)), np.ones((4, 8))],
)
def test_tracks_that_do_not_differ_are_in_the_middle(embeddings):
    places, share = project(embeddings.astype(np.float32))
    assert places == pytest.approx(np.zeros((len(embeddings), 2)), abs=1e-5)
    assert 0 <= share <= 1


class Speaker(NamedTuple):
    """As much of a model as there need be."""

    id: str
    target: str


def speak(target: str, **classes: list[float]) -> dict[str, np.ndarray]:
    """Return means of every class, 0 but for those that are given."""
    size = len(next(iter(classes.values())))
    names = catalogue.targets()[target].classes
    return {each: np.array(classes.get(each, [0.0] * size)) for each in names}


def test_models_of_one_target_are_compared():
    nan = math.nan
    models = [
        Speaker(f"{target} {letter}", target)
        for target in ("mood_happy", "voice_instrumental")
        for letter in "abc"
    ]
    answers = {
        model.id: speak(model.target, **classes)
        for model, classes in zip(
            models,
            [
                {"happy": [0.9, 0.5, nan], "non_happy": [0.1, 0.5, nan]},
                {"happy": [0.2, 0.5, 0.3], "non_happy": [0.2, 0.5, 0.3]},
                {"happy": [0.1, 0.5, nan], "non_happy": [0.3, 0.5, nan]},
                {"voice": [0.8, 0.6, nan], "instrumental": [0.2, 0.4, nan]},
                {"voice": [0.6, 0.4, nan], "instrumental": [0.4, 0.6, nan]},
                {"voice": [0.7, 0.6, nan], "instrumental": [0.3, 0.4, nan]},
            ],
        )
    }
    found = find_disagreements(answers, models, catalogue.targets(), 3)
    assert found.kind == SCORES
    named = [found.items[each] for each in found.item[:2]]
    assert named[0] == "mood_happy"
    assert named[1].startswith("voice_instrumental: ")
    assert found.item[2] == -1  # one answer is no disagreement
    assert found.high[:2] == pytest.approx([0.9, 0.6])
    assert found.low[:2] == pytest.approx([0.25, 0.4])
    assert found.sources[found.high_by[0]] == "mood_happy a"
    assert found.sources[found.low_by[0]] == "mood_happy c"


def taggers(plan, count: int, **tags: dict[str, list[float]]):
    """Return models and answers of the auto-taggers."""
    models = [Speaker(m.id, str(m.target)) for m in plan.models]
    return models, {
        model.id: {
            **speak(model.target, none=[0.0] * count),
            **{
                tag: np.array(values)
                for tag, values in tags.get(model.target, {}).items()
            },
        }
        for model in models
    }


def test_a_model_is_compared_with_the_estimate(plan):
    models, answers = taggers(
        plan,
        2,
        msd={"happy": [0.9, 0.0], "sad": [0.0, 0.9]},
        mtt={"fast": [0.9, 0.0], "slow": [0.0, 0.9]},
    )
    models.append(Speaker("one", "mood_happy"))
    answers["one"] = speak("mood_happy", happy=[0.4, 0.4], non_happy=[0.6, 0.6])
    found = find_disagreements(answers, models, catalogue.targets(), 2)
    assert (found.kind, found.items) == (SCORES, ["mood_happy"])
    assert [found.sources[n] for n in found.high_by] == ["estimates", "one"]
    assert [found.sources[n] for n in found.low_by] == ["one", "estimates"]
    assert found.low[0] == found.high[1] == pytest.approx(0.4)


def test_auto_taggers_alone_are_compared_by_ranks(plan):
    models, answers = taggers(
        plan,
        4,
        # Both agree on the order, though one of them says more.
        msd={
            "guitar": [0.01, 0.02, 0.03, 0.04],
            "rock": [0.4, 0.3, 0.2, 0.15],
            "jazz": [0.9, 0.0, 0.0, 0.0],
            "metal": [0.03, 0.0, 0.0, 0.0],
        },
        mtt={
            "guitar": [0.2, 0.4, 0.6, 0.8],
            "rock": [0.01, 0.02, 0.04, 0.03],
            "harpsichord": [0.9, 0.9, 0.9, 0.0],
            "metal": [0.0, 0.01, 0.02, 0.03],
        },
    )
    found = find_disagreements(answers, models, catalogue.targets(), 4)
    assert found.kind == RANKS
    named = [found.items[n] for n in found.item]
    assert named[:2] == ["rock", "rock"]
    assert found.high[:2].tolist() == [0.75, 0.5]
    assert found.low[:2].tolist() == [0.0, 0.25]
    assert found.sources[found.high_by[0]] == "msd-musicnn-1"
    assert found.sources[found.low_by[0]] == "mtt-musicnn-1"
    assert "guitar" not in named
    assert "metal" not in named  # nobody hears it clearly


def test_one_model_contradicts_nobody(plan):
    models, answers = taggers(plan, 2, msd={"rock": [0.9, 0.1]})
    alone = [model for model in models if model.target == "msd"]
    found = find_disagreements(answers, alone, catalogue.targets(), 2)
    assert found.item.tolist() == [-1, -1]


# From here on, in a browser


def collection(count: int, **changes) -> Collection:
    """Return a collection of so many tracks."""
    rng = np.random.default_rng(0)
    genres = ["Jazz", "Rock", "Folk", *(f"genre {n}" for n in range(9))]
    moods = [["relaxed", "sad"], ["happy"], []]
    models = [Speaker(f"mood_happy {each}", "mood_happy") for each in "ab"]
    answers = {
        model.id: speak(
            "mood_happy", happy=rng.random(count), non_happy=rng.random(count)
        )
        for model in models
    }
    facts = {
        "query": "",
        "analysed": count,
        "seconds": 200.0 * count,
        "titles": [f"Title {n}" for n in range(count)],
        "artists": [f"B\u00e9la {n % 10}" for n in range(count)],
        "albums": [f"Album {n // 12}" for n in range(count)],
        "genres": [[genres[n % len(genres)]] for n in range(count)],
        "moods": [moods[n % 3] for n in range(count)],
        "own_genres": [0],
        "own_moods": [],
        "scores": {
            "danceability": [n / count for n in range(count)],
            "mood_happy": [None if n == 0 else 0.5 for n in range(count)],
        },
        "map": Map("some-model", rng.uniform(-1, 1, (count, 2)), 0.4),
        "taught": [],
        "disagreements": find_disagreements(
            answers, models, catalogue.targets(), count
        ),
        "lists": [],
        **changes,
    }
    return Collection(**facts)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium here to show pages; name one in CHROME")
    with browsing(program, tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.fixture
def show(browser: Page, tmp_path: Path):
    """Show a page in the browser."""

    def open_page(text: str) -> None:
        browser.resize(1280, 900)
        browser.prefer("light")
        browser.events.clear()
        path = tmp_path / "page.html"
        path.write_text(text, encoding="ascii", newline="\n")
        browser.open(path)

    return open_page


def faults(browser: Page) -> list[dict]:
    """Return what the browser complains of, and what it fetched."""
    browser.run(FRAME)
    bad = ("Runtime.exceptionThrown", "Log.entryAdded")
    return [
        event
        for event in browser.events
        if event["method"] in bad
        or (
            event["method"] == "Network.requestWillBeSent"
            and event["params"]["type"] != "Document"
        )
    ]


def text(browser: Page, selector: str) -> str:
    return browser.run(f"document.querySelector({selector!r}).innerText")


def shown(browser: Page) -> int:
    found = re.match(r"([\d,]+) of", text(browser, "#shown"))
    assert found
    return int(found[1].replace(",", ""))


def click(browser: Page, bars: str, name: str) -> None:
    browser.run(
        f"[...document.querySelectorAll('#{bars} button')]"
        f".find(each => each.innerText.startsWith({name!r})).click()"
    )


def rows(browser: Page, table: str) -> list[list[str]]:
    """Return the cells of a table, row by row, without its head."""
    return browser.run(
        f"[...document.querySelectorAll('#{table} tr')].slice(1)"
        ".map(row => [...row.cells].map(cell => cell.innerText))"
    )


def test_it_renders_names_as_they_are(whole: str, browser: Page, show):
    show(whole)
    assert faults(browser) == []
    assert browser.run("window.broken") is None
    counts = text(browser, "#counts")
    assert counts == "7 tracks, 6 of them analysed, 7 hours"
    found = [row[0] for row in rows(browser, "most") + rows(browser, "least")]
    assert {f"{name} {name}" for name in EVIL[:3]} < set(found)
    assert f"4 {UNKNOWN}.mp3" in {each.strip() for each in found}
    assert EVIL[0] in text(browser, "#genres")
    assert "5 tracks." in text(browser, "#about-sound")


def test_filters_work_together(browser: Page, show):
    show(page(collection(120)))
    assert faults(browser) == []
    assert shown(browser) == 120
    click(browser, "genres", "Jazz")
    assert shown(browser) == 10
    # The moods are counted among what is shown.
    assert text(browser, "#moods button").split() == ["relaxed", "10"]
    click(browser, "moods", "happy")
    assert shown(browser) == 0  # every twelfth is jazz, and relaxed
    click(browser, "genres", "Jazz")
    assert shown(browser) == 40
    click(browser, "moods", "happy")
    assert shown(browser) == 120

    click(browser, "moods", "relaxed")
    click(browser, "moods", "sad")
    relaxed = range(0, 120, 3)
    threes = [n for n in relaxed if "3" in f"{n % 10} {n} {n // 12}"]
    for typed, count in (
        ("bela 3", len(threes)),
        ("T\u00cdTLE BELA", 40),
        ("title 27", 1),
        ("title 28", 0),
    ):
        browser.run(
            "Object.assign(document.getElementById('search'),"
            f" {{value: {typed!r}}}).dispatchEvent(new Event('input'))"
        )
        assert (typed, shown(browser)) == (typed, count)
    browser.run("document.getElementById('reset').click()")
    assert shown(browser) == 120
    assert browser.run("document.getElementById('search').value") == ""
    assert not browser.run(
        "document.querySelectorAll('[aria-pressed=true]').length"
    )


def test_bars_that_are_many_come_when_asked_for(browser: Page, show):
    names = [[f"genre {n % 30}"] for n in range(120)]
    show(page(collection(120, genres=names)))
    buttons = "document.querySelectorAll('#genres button').length"
    assert browser.run(buttons) == 13
    click(browser, "genres", "18 more")
    assert browser.run(buttons) == 30
    focused = browser.run("document.activeElement.innerText")
    assert focused.startswith("genre 12")
    browser.press("Enter", "\r")
    assert shown(browser) == 4
    assert browser.run("document.activeElement.ariaPressed") == "true"


def test_the_keyboard_reaches_filters(browser: Page, show):
    show(page(collection(12)))
    names = []
    for _ in range(4):
        browser.press("Tab")
        names.append(browser.run("document.activeElement.id"))
    assert names[:2] == ["search", "reset"]
    browser.press(" ", " ")
    assert shown(browser) < 12


def test_tables_follow_filters(browser: Page, show):
    show(page(collection(120)))
    most, least = rows(browser, "most"), rows(browser, "least")
    assert len(most) == len(least) == 10
    assert most[0] == ["Title 119 B\u00e9la 9", "0.99"]
    assert least[0] == ["Title 0 B\u00e9la 0", "0.00"]
    apart = [
        float(high.split()[0]) - float(low.split()[0])
        for *_, high, low in rows(browser, "disagreements")
    ]
    assert apart == sorted(apart, reverse=True)
    assert apart[0] > 0.5
    click(browser, "genres", "Jazz")
    # Of ten tracks, none is in both tables.
    assert [row[0] for row in rows(browser, "least")] == [
        f"Title {n} B\u00e9la {n % 10}" for n in range(0, 60, 12)
    ]
    assert len(rows(browser, "most")) == 5
    assert len(rows(browser, "disagreements")) == 10
    click(browser, "moods", "happy")
    assert rows(browser, "disagreements") == rows(browser, "most") == [["none"]]


def test_what_there_is_not_is_said(browser: Page, show):
    empty = find_disagreements({}, [], catalogue.targets(), 3)
    nothing = {"scores": {}, "map": None, "disagreements": empty}
    nothing.update(genres=[[]] * 3, moods=[[]] * 3, own_genres=[])
    show(page(collection(3, **nothing)))
    assert faults(browser) == []
    assert text(browser, "#about-genres") == "No track has a genre."
    assert text(browser, "#about-moods") == "No track has a mood."
    assert "No two sources" in text(browser, "#about-disagreements")
    assert "No track here has an embedding" in text(browser, "#about-sound")
    assert "energy and valence; beet " in text(browser, "#about-emotion")
    assert text(browser, "#version") == f"Made by {MAKER}."
    for each in ("sound", "emotion", "colouring", "lists"):
        assert browser.run(f"document.getElementById({each!r}).hidden"), each
    assert rows(browser, "most") == rows(browser, "least") == [["none"]]


def place(browser: Page, track: int, plane: int = 0) -> list[float]:
    """Scroll to a map; return where on the screen a track is."""
    browser.run(f"planes[{plane}].canvas.scrollIntoView({{block: 'center'}})")
    return browser.run(
        "(({x, y, canvas}) => (({left, top}) =>"
        f" [left + x[{track}], top + y[{track}]])"
        f"(canvas.getBoundingClientRect()))(planes[{plane}])"
    )


def pixel(browser: Page, track: int) -> list[int]:
    """Return the colour that a track has on the map."""
    return browser.run(
        "(({x, y, canvas}) => [...canvas.getContext('2d').getImageData("
        f"x[{track}], y[{track}], 1, 1).data])(planes[0])"
    )


FAR_APART = Map("some-model", np.array([[-1, 0], [0, 1], [1, 0]]), 0.4)


def test_the_map_says_what_is_where(browser: Page, show):
    show(page(collection(3, map=FAR_APART)))
    browser.move(*place(browser, 1))
    assert text(browser, "#tip").splitlines() == [
        *("Title 1", "B\u00e9la 1", "Rock", "happy"),
        *("danceability", "0.33", "happy", "0.50"),
    ]
    browser.move(*place(browser, 0))
    assert text(browser, "#tip").splitlines() == [
        *("Title 0", "B\u00e9la 0", "Jazz (yours)", "relaxed; sad"),
        *("danceability", "0.00"),  # the only score that it has
    ]
    x, y = place(browser, 1)
    browser.move(x, y + 100)
    assert browser.run("document.getElementById('tip').hidden")
    browser.tap(x + 15, y)  # fingers are less exact
    assert "Title 1" in text(browser, "#tip")


def test_the_map_shows_what_is_filtered_out_in_grey(browser: Page, show):
    show(page(collection(3, map=FAR_APART)))
    before = [pixel(browser, track) for track in range(3)]
    assert len({tuple(each) for each in before}) == 3
    click(browser, "genres", "Rock")
    after = [pixel(browser, track) for track in range(3)]
    assert after[1] == before[1]
    assert after[0] == after[2] == [0xDE, 0xDE, 0xDE, 255]
    browser.move(*place(browser, 0))
    assert browser.run("document.getElementById('tip').hidden")


def test_colours_are_those_of_the_legend(browser: Page, show):
    show(page(collection(3, map=FAR_APART)))
    for colours, first in (("genres", "Jazz"), ("moods", "relaxed")):
        browser.run(
            "Object.assign(document.getElementById('colours'),"
            f" {{value: {colours!r}}}).dispatchEvent(new Event('change'))"
        )
        legend = browser.run(
            "[...document.querySelectorAll('#legend li')].map(each =>"
            " [each.innerText, getComputedStyle(each.firstChild)"
            ".backgroundColor.match(/\\d+/g).map(Number)])"
        )
        assert dict(legend)[first] == pixel(browser, 0)[:3]
    assert dict(legend)["other or none"] == pixel(browser, 2)[:3]


def test_it_suits_narrow_and_dark_screens(browser: Page, show):
    name = "averyveryverylongname" * 9
    show(page(collection(30, titles=[name] * 30, artists=[name] * 30)))
    back = "getComputedStyle(document.body).backgroundColor"
    assert browser.run(back) == "rgb(255, 255, 255)"
    browser.prefer("dark")
    assert browser.run(back) == "rgb(22, 24, 27)"
    for width in (1280, 400):
        browser.resize(width, 900)
        wide = "document.documentElement.scrollWidth"
        assert browser.run(wide) <= width
        canvas = "planes[0].canvas"
        mapped = browser.run(f"{canvas}.getBoundingClientRect().width")
        assert 0.4 * width < mapped < width
        assert browser.run(f"{canvas}.width") == int(mapped)


def test_energy_against_valence(browser: Page, show):
    scores = {"energy": [0.0, 1.0, None], "valence": [0.0, 1.0, 0.5]}
    show(page(collection(3, map=FAR_APART, scores=scores)))
    assert faults(browser) == []
    assert "2 tracks." in text(browser, "#about-emotion")
    (left, bottom), (right, top) = (place(browser, n, 1) for n in range(2))
    assert left < right
    assert top < bottom
    browser.move(right, top)
    assert "Title 1" in text(browser, "#tip")
    rings = "[...document.querySelectorAll('.ring')].map(each => each.hidden)"
    assert browser.run(rings) == [False, False]  # on both maps
    browser.move(*place(browser, 2))
    assert browser.run(rings) == [False, True]


def test_taught_words_are_moods(browser: Page, show):
    scores = {"danceability": [0.5, 0.5, 0.5], "mood_gym": [0.1, 0.9, 0.4]}
    moods = [["sad"], ["gym", "sad"], []]
    words = {"taught": ["gym", "focus"], "scores": scores, "moods": moods}
    show(page(collection(3, **words)))
    bars = text(browser, "#moods").split()
    # Also those that no track has.
    assert bars[:5] == ["sad", "2", "gym", "taught", "1"]
    assert bars[5:] == ["focus", "taught", "0"]
    browser.run(
        "Object.assign(document.getElementById('score'),"
        " {value: 'mood_gym'}).dispatchEvent(new Event('change'))"
    )
    assert text(browser, "#score option:checked") == "gym (taught)"
    assert rows(browser, "most")[0] == ["Title 1 B\u00e9la 1", "0.90"]


def test_whose_labels_they_are_is_counted(browser: Page, show):
    show(page(collection(30, own_genres=[1, 2], own_moods=[0])))
    assert text(browser, "#about-genres") == (
        "30 tracks with a genre: 28 from soundtags, 2 from you."
    )
    assert text(browser, "#about-moods") == (
        "20 tracks with a mood: 19 from soundtags, 1 from you."
    )


def test_lists_are_shown(browser: Page, show):
    lists = [ListSummary(f"List {n}", n, ["a", EVIL[0]]) for n in range(1, 13)]
    show(page(collection(3, lists=lists)))
    assert faults(browser) == []
    cards = "[...document.querySelectorAll('article')].map(e => e.innerText)"
    first, *others = browser.run(cards)
    assert first.split("\n") == ["List 1", "1 track", "a", EVIL[0]]
    assert len(others) == 7
    click(browser, "lists", "4 more")
    assert len(browser.run(cards)) == 12


def test_twenty_thousand_tracks_stay_usable(browser: Page, show):
    written = page(collection(20_000))
    assert len(written) < 5_000_000
    show(written)
    assert faults(browser) == []
    assert shown(browser) == 20_000
    click(browser, "genres", "Jazz")
    assert shown(browser) == 1667
