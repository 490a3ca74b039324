"""The command `beet soundmodels`: list, info, fetch, verify, remove."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.audio import copy_into, write_track
from support.beet import Beet
from support.needs import VERSION
from support.paths import PLUGINS
from support.standins import write_standin
from support.upstream import Page, Upstream

from soundtags.models import catalogue

HEAD = "danceability-msd-musicnn-1"  # its digest is known
FAMILY = "classification-heads/danceability"
UNKNOWN = "deam-msd-musicnn-2"  # its digest is not
EXTRACTOR = "discogs-effnet-bs64-1"
FOREIGN = {
    "type": "multi-label classifier",
    "classes": ["red", "green", "dark_blue"],
    "schema": {
        "inputs": [{"name": "model/Placeholder"}],
        "outputs": [
            {
                "name": "model/Sigmoid",
                "op": "Sigmoid",
                "output_purpose": "predictions",
            },
            {"name": "model/dense/BiasAdd", "output_purpose": ""},
        ],
    },
    "inference": {
        "algorithm": "TensorflowPredict2D",
        "embedding_model": {"model_name": "msd-musicnn-1"},
    },
}


def standin(model: str, path: Path, seed: int = 0) -> Path:
    facts = catalogue.published()[model].metadata
    path.parent.mkdir(parents=True, exist_ok=True)
    write_standin(
        path,
        facts.algorithm,
        dict(facts.outputs),
        len(facts.classes),
        facts.backbone,
        facts.input,
        seed,
    )
    return path


@pytest.fixture
def upstream():
    with Upstream() as server:
        yield server


@pytest.fixture
def client(beet: Beet, upstream: Upstream) -> Beet:
    """beet with our server as the source."""
    configure(beet, source=upstream.url)
    return beet


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Beet:
    """beet that has reported on the new database, as its first command does."""
    beet = Beet(tmp_path_factory.mktemp("begun"))
    beet.configure()
    beet("ls")
    return beet


@pytest.fixture
def beet(beet: Beet, begun: Beet) -> Beet:
    beet.begin_with(begun)
    return beet


def configure(beet: Beet, **options) -> None:
    beet.configure(soundtags={"patches": 2, "auto": False, **options})


def impatient(beet: Beet, **options) -> None:
    """Have beet ask again at once what it would ask again in a while."""
    beet.configure(
        plugins=["soundtags", "impatience"],
        pluginpath=[str(PLUGINS)],
        soundtags={"auto": False, **options},
    )


def serve(upstream: Upstream, model: str, path: Path) -> bytes:
    """Have upstream serve a stand-in where a model is now."""
    content = standin(model, path).read_bytes()
    upstream.serve(catalogue.published()[model].files[0].path, content)
    return content


def folder(beet: Beet) -> Path:
    return beet.folder / "soundtags-models"


def test_lists_all_models_with_their_state(beet: Beet):
    lines = beet("soundmodels").stdout.splitlines()
    assert lines == beet("soundmodels", "list").stdout.splitlines()
    header, *rows, (name, version) = [line.split() for line in lines]
    assert header[:3] == ["id", "target", "family"]
    assert (name, version) == ("beets-soundtags", VERSION)
    assert [row[0] for row in rows] == list(catalogue.published())
    tagger = "msd-musicnn-1 msd auto-taggers 3.2 MB 0.88 0.29 embedded"
    assert " ".join(rows[0]) == tagger
    by_id = {row[0]: row for row in rows}
    head = f"{HEAD} danceability msd-musicnn 82.5 kB 0.95"
    assert " ".join(by_id[HEAD]) == head
    lines = beet("soundmodels", "-i").stdout.splitlines()
    assert len(lines) == 1 + 4 + 1
    lines = beet("soundmodels", "list", "mood_happy").stdout.splitlines()
    assert len(lines) == 1 + 6 + 1


def test_a_model_folder_that_is_none_is_named(beet: Beet):
    (beet.folder / "models").touch()
    configure(beet, model_dir="models")
    done = beet("soundmodels", "-i")
    told = f"model_dir: {beet.folder / 'models'} is not a folder"
    assert done.stderr.count(told) == 1
    assert len(done.stdout.splitlines()) == 1 + 4 + 1
    assert told in beet("soundmodels", "verify").stdout


def test_lists_everything_as_json(client: Beet, upstream: Upstream):
    entries = json.loads(client("soundmodels", "--json").stdout)
    assert len(entries) == len(catalogue.published())
    entry = next(e for e in entries if e["id"] == "mood_sad-musicnn-mtt-2")
    assert entry["aliases"] == ["mood_sad_musicnn_mtt"]
    assert entry["classes"] == ["non_sad", "sad"]
    assert entry["target"] == "mood_sad"
    assert entry["licence"] == "CC BY-NC-SA 4.0"
    assert entry["announced"] == {"parameters": "790k", "accuracy": 0.85}
    assert [file["url"] for file in entry["files"]] == [
        f"{upstream.url}{path}"
        for path in (
            "classifiers/mood_sad/mood_sad-musicnn-mtt-2.pb",
            "legacy/classifiers/mood_sad/mood_sad-musicnn-mtt-2.pb",
            "transfer_learning_classifiers/mood_sad/mood_sad_musicnn_mtt.pb",
        )
    ]


def test_info_tells_all_of_a_model_by_any_of_its_names(beet: Beet):
    said = beet("soundmodels", "info", "danceability_musicnn_msd").stdout
    assert "id: danceability-musicnn-msd-2\n" in said
    assert 'classes: ["danceable", "not_danceable"]' in said
    assert "licence: CC BY-NC-SA 4.0" in said
    assert "model/dense_1/BiasAdd" in said
    done = beet("soundmodels", "info", "nonsense", status=1)
    assert "no model or group nonsense in the catalogue" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.models
def test_fetched_models_are_verified_used_and_removed(
    client: Beet, upstream: Upstream, tmp_path: Path
):
    content = serve(upstream, UNKNOWN, tmp_path / "served.pb")
    done = client("soundmodels", "fetch", UNKNOWN)
    assert done.stdout.index("CC BY-NC-SA 4.0") < done.stdout.index(UNKNOWN)
    assert f"{UNKNOWN}: fetched, 82.4 kB, digest recorded" in done.stdout
    assert {path.name for path in folder(client).iterdir()} == {
        f"{UNKNOWN}.pb",
        "SHA256SUMS",
        ".lock",
    }
    assert (folder(client) / f"{UNKNOWN}.pb").read_bytes() == content
    assert UNKNOWN in client("soundmodels", "-i").stdout
    assert f"{UNKNOWN}.pb: ok" in client("soundmodels", "verify").stdout

    # Again: nothing is fetched, and no licence is shown.
    asked = len(upstream.requests)
    done = client("soundmodels", "fetch", UNKNOWN)
    assert done.stdout == f"{UNKNOWN}: is here already\n"
    assert len(upstream.requests) == asked

    write_track(tmp_path / "a.flac", "a")
    client("import", "-A", copy_into(tmp_path / "in", tmp_path / "a.flac"))
    client("soundtags")
    (line,) = client.ls("$energy $valence", "energy:0..1")
    assert all(0 <= float(number) <= 1 for number in line.split())

    assert client("soundmodels", "remove", UNKNOWN).stdout == (
        f"{UNKNOWN}: removed\n"
    )
    assert UNKNOWN not in client("soundmodels", "-i").stdout
    assert not (folder(client) / f"{UNKNOWN}.pb").exists()
    # Without a record, another one can be fetched.
    upstream.serve(
        catalogue.published()[UNKNOWN].files[0].path,
        standin(UNKNOWN, tmp_path / "other.pb", 1).read_bytes(),
    )
    client("soundmodels", "fetch", UNKNOWN)


def test_what_was_fetched_must_stay_what_it_was(
    client: Beet, upstream: Upstream, tmp_path: Path
):
    serve(upstream, UNKNOWN, tmp_path / "served.pb")
    client("soundmodels", "fetch", UNKNOWN)
    standin(UNKNOWN, folder(client) / f"{UNKNOWN}.pb", 1)
    done = client("soundmodels", "verify", status=1)
    assert f"{UNKNOWN}.pb: has " in done.stdout
    assert "remove it and fetch it again" in done.stdout
    done = client("soundtags", "-m", UNKNOWN, status=1)
    assert f"{UNKNOWN}.pb: not the file that was fetched" in done.stderr
    # Left to ourselves, we go on without it.
    done = client("soundtags")
    assert f"left out: {UNKNOWN}.pb: not the file" in done.stderr


def test_known_digests_are_checked(
    client: Beet, upstream: Upstream, tmp_path: Path
):
    serve(upstream, HEAD, tmp_path / "served.pb")  # not the original
    done = client("soundmodels", "fetch", HEAD, status=1)
    assert f"{HEAD}" in done.stderr
    assert "1 of 1 models not fetched" in done.stderr
    assert not list(folder(client).glob("*.pb"))
    # By hand it can be put there; only verifying tells.
    standin(HEAD, folder(client) / f"{HEAD}.pb")
    done = client("soundmodels", "verify", status=1)
    expected = catalogue.published()[HEAD].files[0].sha256
    assert f"{HEAD}.pb: has " in done.stdout
    assert str(expected) in done.stdout


def test_pipes_are_not_waited_for(beet: Beet):
    if not hasattr(os, "mkfifo"):
        pytest.skip("no FIFOs on this system")
    folder(beet).mkdir()
    os.mkfifo(folder(beet) / "x.pb")
    done = beet("soundmodels", "verify", status=1)
    assert "x.pb: not a regular file" in done.stderr


def test_originals_are_fetched_and_verified(
    client: Beet, upstream: Upstream, shared: Path
):
    for model in (HEAD, "danceability-musicnn-msd-2"):
        path = catalogue.published()[model].files[0].path
        content = (shared / "models" / f"{model}.pb").read_bytes()
        upstream.serve(path, content)
    done = client("soundmodels", "fetch", HEAD, "danceability_musicnn_msd")
    assert f"{HEAD}: fetched, 82.5 kB, digest verified" in done.stdout
    assert "danceability-musicnn-msd-2: fetched, 3.2 MB" in done.stdout
    assert client("soundmodels", "verify").stdout.count(": ok\n") == 2


def test_the_announcements_file_is_the_last_resort(
    client: Beet, upstream: Upstream, tmp_path: Path
):
    model = catalogue.published()["gender-musicnn-mtt-2"]
    content = standin(model.id, tmp_path / "served.pb").read_bytes()
    upstream.serve(model.files[-1].path, content)
    done = client("soundmodels", "fetch", model.id)
    assert [r.path.removeprefix("/models/") for r in upstream.requests] == [
        file.path for file in model.files
    ]
    assert "announcement's version, gender_musicnn_mtt" in done.stdout
    # It has other numbers than its successor, so it keeps its name.
    assert (folder(client) / "gender_musicnn_mtt.pb").is_file()
    write_track(tmp_path / "a.flac", "a")
    client("import", "-A", copy_into(tmp_path / "in", tmp_path / "a.flac"))
    client("soundtags", "-m", "gender_musicnn_mtt")
    assert client.ls("$gender")[0] in ("female", "male")
    assert "is here already" in client("soundmodels", "fetch", model.id).stdout


def test_groups_come_with_their_backbones_and_single_failures_are_told(
    client: Beet, upstream: Upstream, tmp_path: Path
):
    served = "deam-msd-musicnn-2", "muse-msd-musicnn-2"
    for model in served:
        serve(upstream, model, tmp_path / f"{model}.pb")
    upstream.serve(
        "classification-heads/emomusic/emomusic-msd-musicnn-2.pb",
        Page(b"<html>Log in</html>", headers={"Content-Type": "text/html"}),
    )
    done = client("soundmodels", "fetch", "arousal_valence", status=1)
    for model in served:
        assert f"{model}: fetched" in done.stdout
    # Three heads want a backbone that is to be fetched, and it is not there.
    assert "5 of 7 models not fetched" in done.stderr
    assert "audioset-vggish-3" in done.stderr
    assert done.stderr.count("emomusic-msd-musicnn-2") >= 1
    assert done.stdout.count("CC BY-NC-SA 4.0") == 1
    assert "Traceback" not in done.stderr
    asked = {Path(request.path).stem for request in upstream.requests}
    assert "msd-musicnn-1" not in asked  # comes with the package


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("http://127.0.0.1:9/", "http://127.0.0.1:9 cannot be reached"),
        ("http://models.invalid/", "is not HTTPS"),
        ("https://[/", "not an address"),
        ("nowhere", "no such folder"),
    ],
)
def test_what_concerns_all_models_is_said_once(beet: Beet, source, said):
    impatient(beet, source=source)
    done = beet("soundmodels", "fetch", "heads", status=1)
    (line,) = done.stderr.splitlines()
    assert said in line
    assert not list(folder(beet).glob("*.pb"))


def test_a_folder_that_cannot_be_made_is_said_once(
    client: Beet, upstream: Upstream
):
    folder(client).write_bytes(b"not a folder")
    done = client("soundmodels", "fetch", "heads", status=1)
    (line,) = done.stderr.splitlines()
    assert f"cannot write to {folder(client)}" in line
    assert upstream.requests == []


@pytest.mark.parametrize("command", ["info", "list", "fetch"])
def test_passwords_of_sources_are_not_shown(
    client: Beet, upstream: Upstream, command
):
    configure(client, source=upstream.url.replace("//", "//me:secret@"))
    args = ["--json"] if command == "list" else [UNKNOWN]
    status = 1 if command == "fetch" else 0
    done = client("soundmodels", command, *args, status=status)
    assert "secret" not in done.stdout + done.stderr
    assert "//***@127.0.0.1" in done.stdout + done.stderr


@pytest.mark.models
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\0\1 no graph" + bytes(100), "not a TensorFlow graph"),
        (b"\x22\x02\x08\x01", "has no node model/Identity"),
    ],
)
def test_what_is_no_graph_is_not_installed(
    client: Beet, upstream: Upstream, content, reason
):
    path = catalogue.published()[UNKNOWN].files[0].path
    upstream.serve(path, content)
    done = client("soundmodels", "fetch", UNKNOWN, status=1)
    assert f"{UNKNOWN}.pb from {upstream.url}{path}: {reason}" in done.stderr
    assert not list(folder(client).glob("*.pb"))


def test_two_that_fetch_one_model_wait_for_each_other(
    client: Beet, upstream: Upstream, tmp_path: Path
):
    model = catalogue.published()[UNKNOWN]
    content = standin(UNKNOWN, tmp_path / "served.pb").read_bytes()
    slow = Page(content, piece=len(content) // 20, pause=0.1)
    upstream.serve(model.files[0].path, slow)
    with ThreadPoolExecutor(2) as both:
        runs = [
            both.submit(client, "soundmodels", "fetch", UNKNOWN)
            for _ in range(2)
        ]
        said = [each.result().stdout for each in runs]
    assert len(upstream.requests) == 1
    (waited,) = [each for each in said if "waiting for another" in each]
    assert f"{UNKNOWN}: is here already" in waited


def test_plain_http_only_if_allowed(beet: Beet):
    impatient(beet, source="http://models.invalid/")
    done = beet("soundmodels", "fetch", UNKNOWN, status=1)
    assert "--insecure" in done.stderr
    done = beet("soundmodels", "fetch", "--insecure", UNKNOWN, status=1)
    assert "--insecure" not in done.stderr
    assert "models.invalid" in done.stderr


def test_a_folder_can_be_the_source(beet: Beet, tmp_path: Path):
    stick = tmp_path / "stick"
    content = standin(UNKNOWN, stick / f"{UNKNOWN}.pb").read_bytes()
    configure(beet, source=str(stick))
    beet("soundmodels", "fetch", UNKNOWN)
    assert (folder(beet) / f"{UNKNOWN}.pb").read_bytes() == content


@pytest.mark.parametrize(
    "args",
    [
        ["nonsense"],
        ["fetch"],
        ["fetch", "nonsense"],
        ["fetch", "../../etc/passwd"],
        ["info"],
        ["remove"],
        ["remove", "../library"],
        ["remove", UNKNOWN],
        ["remove", "msd-musicnn-1"],
        ["verify", "nonsense"],
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(beet: Beet, args):
    done = beet("soundmodels", *args, status=1)
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert (beet.folder / "library.db").is_file()


def test_what_cannot_be_read_is_named(beet: Beet):
    (folder(beet) / "x.pb").mkdir(parents=True)
    done = beet("soundmodels", "verify", status=1)
    assert f"{folder(beet) / 'x.pb'}: " in done.stderr
    assert "Traceback" not in done.stderr
    assert beet("soundmodels", "-i").stdout.count("\n") == 6


@pytest.mark.models
def test_any_model_with_metadata_just_works(beet: Beet, tmp_path: Path):
    path = folder(beet) / "Colours-of.sound-1.pb"
    path.parent.mkdir()
    facts = FOREIGN["schema"]["outputs"]
    outputs = {each["name"]: each["output_purpose"] for each in facts}
    write_standin(path, "TensorflowPredict2D", outputs, 3, "msd-musicnn-1")
    path.with_suffix(".json").write_text(json.dumps(FOREIGN))
    lines = beet("soundmodels", "-i").stdout
    assert "Colours-of.sound-1  soundtags_colours" in lines
    write_track(tmp_path / "a.flac", "a")
    beet("import", "-A", copy_into(tmp_path / "in", tmp_path / "a.flac"))
    (item,) = beet.ls("$soundtags_colours")
    assert sorted(item.split("; ")) == ["dark blue", "green", "red"]
    assert beet.ls("$title", "soundtags_colours:=green") == ["a"]


def test_metadata_cannot_reach_other_files_or_fields(
    beet: Beet, tmp_path: Path
):
    outside = standin(HEAD, tmp_path / "outside.pb")
    metadata = json.loads(json.dumps(FOREIGN))
    metadata["inference"]["embedding_model"]["model_name"] = str(
        outside.with_suffix("")
    )
    path = folder(beet) / "title-evil-1.pb"
    path.parent.mkdir()
    path.write_bytes(outside.read_bytes())
    path.with_suffix(".json").write_text(json.dumps(metadata))
    write_track(tmp_path / "a.flac", "a")
    done = beet("import", "-A", copy_into(tmp_path / "in", tmp_path / "a.flac"))
    assert "left out: title-evil-1: needs" in done.stderr
    assert beet.ls("$title $artist") == ["a Artist"]


def test_old_metadata_does_not_turn_answers_round(beet: Beet, tmp_path: Path):
    # Until 2024, upstream's metadata had these two the other way round.
    model = "tonal_atonal-msd-musicnn-1"
    graph = standin(model, folder(beet) / f"{model}.pb")
    facts = catalogue.published()[model].metadata
    old = {
        **FOREIGN,
        "classes": ["tonal", "atonal"],
        "schema": {
            "inputs": [{"name": facts.input}],
            "outputs": [
                {"name": name, "output_purpose": purpose}
                for name, purpose in facts.outputs
            ],
        },
    }
    write_track(tmp_path / "a.flac", "a")
    beet("import", "-A", copy_into(tmp_path / "in", tmp_path / "a.flac"))
    before = beet.ls("$tonal_atonal $tonal_atonal_score")
    graph.with_suffix(".json").write_text(json.dumps(old))
    beet("soundtags", "-f")
    assert beet.ls("$tonal_atonal $tonal_atonal_score") == before


def test_sums_can_be_checked_by_other_means(
    client: Beet, upstream: Upstream, tmp_path: Path
):
    content = serve(upstream, UNKNOWN, tmp_path / "served.pb")
    client("soundmodels", "fetch", UNKNOWN)
    sums = (folder(client) / "SHA256SUMS").read_text()
    assert sums == f"{hashlib.sha256(content).hexdigest()}  {UNKNOWN}.pb\n"
