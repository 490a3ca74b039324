"""A cluster: schedulers and workers as processes, and what befalls them.

Starting these takes most of the time, so tests share them: a cluster that runs
models, one that makes up what it hears, one whose workers may die, and a
scheduler to which tests bring workers of their own.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import soundfile
from mediafile import MediaFile
from support.audio import noise, write_track
from support.beet import Beet
from support.made_up_workers import STRANGE
from support.paths import ROOT, SUPPORT

from soundtags import errors
from soundtags.inference.dask import client as module
from soundtags.inference.dask import worker_pool
from soundtags.inference.dask.answers import encode, read_reply
from soundtags.inference.dask.messages import Failed, Reply
from soundtags.inference.dask.paths import PathMapping
from soundtags.models.plan import make_plan
from soundtags.models.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

distributed = pytest.importorskip("distributed")
dask_config = pytest.importorskip("dask.config")

pytestmark = pytest.mark.slow
posix = pytest.mark.skipif(
    os.name == "nt", reason="Windows has other ways to die"
)

MAKES_UP = f"--preload={SUPPORT / 'made_up_workers.py'}"
UNATTENDED = "--no-nanny"  # that would start a worker anew
PACKAGE = str(Path(errors.__file__).parents[1])  # where it is imported from
PATHS = {"default": "$title"}
ENOUGH = 120  # seconds for anything that is to happen

# Tracks of the library that tests copy, and queries for some of them.
PLAIN = ["a", "b", "c", "d"]
SLOW = [f"slow {number:02}" for number in range(40)]
TROUBLE = ["bad", "bug", "crash", "hang"]
STRANGERS = [f"strange {name}" for name in STRANGE]
ONE, TWO, FOUR = "title::^a$", "title::^[ab]$", "title::^[a-d]$"
TEN_SLOW, ALL_SLOW = "title::^slow.0", "title::^slow"
NOT_SLOW = "title::^[^s]"


@dataclass
class Dask:
    """A scheduler, and workers with folders of their own."""

    folder: Path
    processes: ExitStack
    settings: dict[str, str]  # of Dask
    workers: int = 0
    started: int = 0

    def __post_init__(self) -> None:
        self.file = self.folder / "scheduler.json"
        self.scheduler = self._start(
            self.processes,
            "scheduler",
            "--port=0",
            f"--scheduler-file={self.file}",
        )
        wait_for(lambda: self.file.is_file() and self.file.read_text())

    @property
    def address(self) -> str:
        return json.loads(self.file.read_text())["address"]

    def begin(self, *options: str, **environment: str) -> None:
        """Start a worker that stays."""
        self._work(self.processes, *options, **environment)

    @contextmanager
    def worker(self, *options: str, **environment: str) -> Iterator[None]:
        """Have another worker for a while."""
        with ExitStack() as processes:
            self._work(processes, UNATTENDED, *options, **environment)
            try:
                yield
            finally:
                self.workers -= 1
        self.gather()

    def gather(self) -> None:
        """Wait until all workers are there, and no other."""
        with self.client() as client:
            wait_for(lambda: len(client.nthreads()) == self.workers)

    @contextmanager
    def client(self) -> Iterator[Any]:
        with distributed.Client(self.address, set_as_default=False) as client:
            yield client

    def pids(self) -> dict[str, int]:
        """Return the processes of workers, whom nannies look after."""
        with self.client() as client:
            return client.run(os.getpid)

    def tasks(self) -> int:
        with self.client() as client:
            return client.run_on_scheduler(
                lambda dask_scheduler: len(dask_scheduler.tasks)
            )

    def _work(
        self, processes: ExitStack, *options: str, **environment: str
    ) -> None:
        file = f"--scheduler-file={self.file}"
        self._start(
            processes, "worker", file, "--nthreads=1", *options, **environment
        )
        self.workers += 1
        self.gather()

    def _start(
        self, processes: ExitStack, kind: str, *options: str, **environment: str
    ) -> subprocess.Popen[bytes]:
        self.started += 1
        home = self.folder / f"{kind}-{self.started}"
        home.mkdir()
        log = processes.enter_context((home / "log").open("wb"))
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}"]
        process = subprocess.Popen(
            [*command, "--no-dashboard", "--host=127.0.0.1", *options],
            cwd=home,
            env={
                **os.environ,
                "PYTHONPATH": PACKAGE,
                "XDG_CACHE_HOME": str(home / "cache"),
                "BEETSDIR": str(home),
                **self.settings,
                **environment,
            },
            stdout=log,
            stderr=log,
        )
        processes.callback(end, process)
        return process


def end(process: subprocess.Popen[Any]) -> None:
    process.terminate()
    try:
        process.wait(5)  # a worker without a scheduler may not end by itself
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for(found: Callable[[], Any]) -> None:
    deadline = time.monotonic() + ENOUGH
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def dask(folder: Path, **settings: str) -> Iterator[Dask]:
    with ExitStack() as processes:
        yield Dask(folder, processes, settings)


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dask]:
    """A cluster of two workers that run models."""
    with dask(tmp_path_factory.mktemp("listening")) as made:
        made.begin(UNATTENDED)
        made.begin(UNATTENDED)
        yield made


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dask]:
    """A cluster of two workers that make up what they hear."""
    with dask(tmp_path_factory.mktemp("cluster")) as made:
        made.begin(UNATTENDED, MAKES_UP)
        made.begin(UNATTENDED, MAKES_UP)
        yield made


@pytest.fixture(scope="module")
def attended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dask]:
    """A cluster of two workers that are started anew when they die."""
    settings = {
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
        "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "3s",
    }
    with dask(tmp_path_factory.mktemp("mortal"), **settings) as made:
        made.begin(MAKES_UP)
        made.begin(MAKES_UP)
        yield made


@pytest.fixture
def mortal(attended: Dask) -> Dask:
    """A cluster whose workers may be killed: both are there again."""
    attended.gather()
    return attended


@pytest.fixture(scope="module")
def deserted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dask]:
    """A scheduler that has no workers but those that a test starts."""
    with dask(tmp_path_factory.mktemp("deserted")) as made:
        yield made


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Beet:
    """A library of tracks that nobody has heard."""
    source = tmp_path_factory.mktemp("in")
    for seed, title in enumerate(PLAIN):
        write_track(source / f"{title}.flac", title, seed)
    for title in [*SLOW, *TROUBLE, *STRANGERS]:  # which nobody reads
        path = source / f"{title}.flac"
        soundfile.write(path, noise(0.1, 8000), 8000)
        file = MediaFile(path)
        file.title = title
        file.save()
    home = tmp_path_factory.mktemp("home") / "beets"
    beet = Beet.new(home, soundtags={"auto": False}, paths=PATHS)
    beet("import", "-A", source)
    return beet


@pytest.fixture
def library(beet: Beet, imported: Beet) -> Beet:
    beet.begin_with(imported)
    return beet


def use(beet: Beet, cluster: Dask | str, **more: Any) -> None:
    address = cluster if isinstance(cluster, str) else cluster.address
    beet.configure(
        soundtags={"patches": 2, "cluster": address, **more}, paths=PATHS
    )


def complaints(beet: Beet, *args: str) -> str:
    """Return what is said of a run that cannot be."""
    said = beet("soundtags", *args, status=1).stderr
    assert "Traceback" not in said
    return said


def heard(beet: Beet) -> set[tuple[Any, ...]]:
    """Return all that is kept of what models said."""
    with closing(sqlite3.connect(beet.folder / "soundtags.db")) as store:
        return {
            *store.execute("SELECT * FROM inputs"),
            *store.execute("SELECT * FROM means"),
        }


@contextmanager
def running(beet: Beet, query: str) -> Iterator[subprocess.Popen[str]]:
    """Start a run, and wait until it has finished a track."""
    run = subprocess.Popen(
        [sys.executable, "-m", "beets", "soundtags", query],
        env={**beet.environment(), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with run:
        try:
            assert run.stdout
            assert run.stdout.readline()
            yield run
        finally:
            run.kill()


def tagged(beet: Beet) -> list[str]:
    return [i["title"] for i in beet.items() if "soundtags_plan" in i]


def add_model(beet: Beet, name: str) -> Path:
    """Give beet a model under a name of its own; return its graph."""
    folder = beet.folder / "soundtags-models"
    folder.mkdir()
    for suffix in (".pb", ".json"):
        source = ROOT / "models" / f"mtt-musicnn-1{suffix}"
        shutil.copy(source, folder / f"{name}{suffix}")
    return folder / f"{name}.pb"


def other_version(folder: Path) -> str:
    """Return a path for Python on which our package has version 9.9."""
    facts = folder / "beets_soundtags-9.9.dist-info" / "METADATA"
    facts.parent.mkdir(parents=True)
    facts.write_text("Metadata-Version: 2.1\nName: x\nVersion: 9.9\n")
    return f"{folder}{os.pathsep}{PACKAGE}"


@pytest.mark.models
def test_a_cluster_says_what_this_machine_says(library, listening):
    shown = library("soundtags", "-pf", FOUR).stdout.splitlines()
    here = heard(library)
    (library.folder / "soundtags.db").unlink()
    use(library, listening)
    there = library("soundtags", "-pf", FOUR).stdout.splitlines()
    assert sorted(there[:-1]) == sorted(shown[:-1])
    assert len(here) > 2 * len(PLAIN)
    assert heard(library) == here
    assert "4 tagged" in library("soundtags", FOUR).stdout
    assert tagged(library) == PLAIN
    assert "4 already up to date" in library("soundtags", FOUR).stdout


def test_the_command_line_names_a_cluster(library, listening):
    use(library, "tcp://127.0.0.1:1")
    done = library("soundtags", "--cluster", listening.file, ONE)
    assert "1 tagged" in done.stdout


def test_an_import_uses_the_cluster(beet, track, listening):
    use(beet, listening)
    beet("import", "-A", track.parent)
    assert tagged(beet) == ["Title"]


def test_workers_find_folders_elsewhere(library, listening):
    music, there = library.folder / "music", library.folder.parent / "mount"
    shutil.copytree(music, there)
    here = music / "a.flac"
    here.write_bytes(b"only workers have the music")
    use(library, listening, cluster_paths={str(music): str(there)})
    assert "1 tagged" in library("soundtags", "-W", ONE).stdout


def test_files_can_be_sent(library, listening):
    nowhere = {str(library.folder / "music"): "/nowhere"}
    use(library, listening, cluster_paths=nowhere, cluster_ship=True)
    assert "1 tagged" in library("soundtags", ONE).stdout


def test_a_file_that_is_nowhere_fails_as_here(library, cluster):
    (library.folder / "music" / "a.flac").unlink()
    for ship in (False, True):
        use(library, cluster, cluster_ship=ship)
        done = library("soundtags", "-f", TWO)
        assert "1 tagged" in done.stdout
        assert "1 x cannot be opened" in done.stdout
        assert "No such file" in done.stderr


def test_a_file_that_workers_lack_is_named(library, cluster):
    music, there = library.folder / "music", library.folder.parent / "mount"
    shutil.copytree(music, there)
    (there / "a.flac").unlink()
    use(library, cluster, cluster_paths={str(music): str(there)})
    done = library("soundtags", TWO)
    assert "1 tagged" in done.stdout
    assert f"not found on a worker: {there / 'a.flac'}" in done.stderr
    assert "soundtags.cluster_paths" in done.stderr


def test_a_missing_mount_is_named(library, cluster):
    nowhere = {str(library.folder / "music"): "/nowhere"}
    use(library, cluster, cluster_paths=nowhere)
    said = complaints(library, FOUR)
    assert "/nowhere is missing or empty" in said
    assert "soundtags.cluster_paths" in said
    assert said.count("\n") == 3  # each worker, and that there is no other


def test_models_are_sent_once(library, listening):
    graph = add_model(library, "mine")
    use(library, listening, models=["mine"])
    assert "4 tagged" in library("soundtags", FOUR).stdout
    kept = {
        path: path.stat().st_mtime_ns
        for path in listening.folder.rglob("mine.pb")
    }
    assert 1 <= len(kept) <= listening.workers
    assert all(path.read_bytes() == graph.read_bytes() for path in kept)
    assert "4 tagged" in library("soundtags", "-f", FOUR).stdout
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert [*listening.folder.rglob("*.part")] == []


def test_a_damaged_copy_of_a_model_is_replaced(library, deserted, tmp_path):
    graph, cache = add_model(library, "mine"), tmp_path / "cache"
    use(library, deserted, models=["mine"])
    with deserted.worker(MAKES_UP, XDG_CACHE_HOME=str(cache)):
        assert "1 tagged" in library("soundtags", ONE).stdout
    (kept,) = cache.rglob("mine.pb")
    assert kept.read_bytes() == graph.read_bytes()
    kept.write_bytes(b"damaged")
    with deserted.worker(MAKES_UP, XDG_CACHE_HOME=str(cache)):
        assert "1 tagged" in library("soundtags", "-f", ONE).stdout
    assert kept.read_bytes() == graph.read_bytes()


def test_another_version_is_named(library, deserted, tmp_path):
    use(library, deserted)
    with deserted.worker(PYTHONPATH=other_version(tmp_path / "other")):
        said = complaints(library, ONE)
    assert "has beets-soundtags 9.9, but this machine has" in said
    assert tagged(library) == []


def test_a_worker_without_the_package_is_named(library, deserted, tmp_path):
    empty = tmp_path / "soundtags"
    empty.mkdir()
    (empty / "__init__.py").write_text("raise ImportError('there is none')")
    use(library, deserted)
    with deserted.worker(PYTHONPATH=str(tmp_path)):
        said = complaints(library, ONE)
    assert "beets-soundtags[cluster]==" in said


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("tcp://127.0.0.1:1", "no scheduler answers at tcp://127.0.0.1:1"),
        ("gopher://127.0.0.1:1", "neither an address such as"),
        ("127.0.0.1", "neither an address such as tcp://host:8786 nor"),
    ],
)
def test_a_wrong_address_is_named(library, address, said):
    use(library, address)
    found = complaints(library, ONE)
    assert said in found
    assert found.count("\n") == 1


def test_a_scheduler_file_that_is_none_is_named(library, tmp_path):
    file = tmp_path / "scheduler.json"
    file.write_text("nonsense")
    use(library, str(file))
    found = complaints(library, ONE)
    assert f"{file}: neither an address" in found
    assert found.count("\n") == 1


def test_no_worker_at_all_is_said(deserted, tmp_path, monkeypatch):
    monkeypatch.setattr(worker_pool, "JOIN_TIMEOUT", 1)
    models = make_plan(["msd-musicnn-1"], tmp_path, Settings(), print)
    engine = module.Cluster(
        deserted.address, PathMapping({}), 10**9, "auto", logging.getLogger()
    )
    named = pytest.raises(errors.UnreachableCluster, match="has no worker")
    with closing(engine), named:
        next(engine.predict([(0, "a.flac")], models, lambda *_: None))


def test_without_dask_the_remedy_is_named(library, tmp_path):
    broken = tmp_path / "path" / "distributed.py"
    broken.parent.mkdir()
    broken.write_text("raise ImportError('made to fail')\n")
    use(library, "tcp://127.0.0.1:1")
    paths = f"{broken.parent}{os.pathsep}{PACKAGE}"
    environment = {**library.environment(), "PYTHONPATH": paths}
    done = library.fresh("soundtags", ONE, status=1, env=environment)
    remedy = r'pip install "beets-soundtags(-lite)?\[cluster\]"'
    assert re.search(remedy, done.stderr)
    assert "Traceback" not in done.stderr


@posix
def test_a_killed_worker_loses_nothing(library, mortal):
    use(library, mortal)
    victim = min(mortal.pids().values())
    with running(library, TEN_SLOW) as run:
        os.kill(victim, signal.SIGKILL)
        said, errors = run.communicate(timeout=ENOUGH)
    assert run.returncode == 0, said + errors
    assert "10 tagged" in said
    assert errors == ""
    assert tagged(library) == SLOW[:10]


@posix
def test_a_worker_that_stands_still_loses_nothing(library, mortal):
    use(library, mortal)
    victim = min(mortal.pids().values())
    with running(library, TEN_SLOW) as run:
        os.kill(victim, signal.SIGSTOP)
        try:
            said, errors = run.communicate(timeout=ENOUGH)
        finally:
            with suppress(ProcessLookupError):  # by now, its nanny has
                os.kill(victim, signal.SIGKILL)
    assert run.returncode == 0, said + errors
    assert tagged(library) == SLOW[:10]


@posix
def test_what_goes_wrong_costs_that_track_alone(library, mortal):
    use(library, mortal)
    done = library("soundtags", NOT_SLOW)
    assert "4 tagged, 0 already up to date, 4 failed" in done.stdout
    assert tagged(library) == PLAIN
    lines = done.stderr.splitlines()
    for name, reason in {
        "bad": "made to fail",
        "bug": "unexpected ZeroDivisionError: made to fail",
        "crash": "workers of the cluster crashed while analysing it",
        "hang": "timed out: the decoder made no progress for 2 s",
    }.items():
        (line,) = [each for each in lines if f"/{name}.flac" in each]
        assert line.endswith(reason)
    assert len(lines) == 4


@posix
@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_cancels_what_waits(library, cluster):
    use(library, cluster)
    with running(library, ALL_SLOW) as run:
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=ENOUGH)
    assert "Traceback" not in said
    assert 1 <= len(tagged(library)) < 20
    wait_for(lambda: cluster.tasks() == 0)


@posix
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_without_the_scheduler_the_run_ends(library, tmp_path, how):
    with dask(tmp_path) as made:
        made.begin(UNATTENDED, MAKES_UP)
        use(library, made)
        with running(library, ALL_SLOW) as run:
            made.scheduler.send_signal(how)
            _, said = run.communicate(timeout=ENOUGH)
    assert run.returncode == 1
    assert said == (
        "error: lost the cluster's scheduler; finished tracks are stored, so"
        " run the command again to continue\n"
    )
    assert 1 <= len(tagged(library)) < 20


def test_a_worker_that_is_unfit_gets_no_more(library, cluster, tmp_path):
    use(library, cluster)
    with cluster.worker(PYTHONPATH=other_version(tmp_path / "other")):
        done = library("soundtags", TEN_SLOW)
    assert "10 tagged" in done.stdout
    assert done.stderr.count("has beets-soundtags 9.9") == 1


def test_a_broken_model_is_left_out(library, listening):
    graph = add_model(library, "broken")
    graph.write_bytes(b"nonsense")
    metadata = graph.with_suffix(".json")
    facts = json.loads(metadata.read_text())
    facts["classes"] = [f"new {name}" for name in facts["classes"]]
    metadata.write_text(json.dumps(facts))
    use(library, listening)
    done = library("soundtags", TWO)
    assert "2 tagged" in done.stdout
    assert "left out: " in done.stderr
    assert "broken.pb" in done.stderr


def test_strange_answers_cost_their_track_alone(library, cluster):
    use(library, cluster)
    done = library("soundtags", "title::^strange|^[ab]$")
    assert f"2 tagged, 0 already up to date, {len(STRANGE)} failed" in (
        done.stdout
    )
    assert tagged(library) == ["a", "b"]
    lines = done.stderr.splitlines()
    for title in STRANGERS:
        (line,) = [each for each in lines if f"/{title}.flac: " in each]
        assert "a worker gave" in line
    assert len(lines) == len(STRANGE)


def test_a_worker_that_always_asks_for_models_is_left(library, deserted):
    use(library, deserted)
    with deserted.worker(MAKES_UP, ASKS_FOREVER="yes"):
        said = complaints(library, FOUR)
        assert "asks again for models that it has been sent" in said
        assert said.count("\n") == 2  # that, and that there is no other
        with deserted.worker(MAKES_UP):
            assert "4 tagged" in library("soundtags", FOUR).stdout


def test_connections_can_be_encrypted(library, tmp_path, monkeypatch):
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl here to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes"]
        + ["-days", "2", "-subj", "/CN=soundtags"]
        + ["-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    settings = {
        "default-scheme": "tls",
        "require-encryption": True,
        "tls.ca-file": str(certificate),
    }
    for role in ("scheduler", "worker", "client"):
        settings[f"tls.{role}.cert"] = str(certificate)
        settings[f"tls.{role}.key"] = str(key)
    settings = {f"distributed.comm.{n}": settings[n] for n in settings}
    environment = {
        f"DASK_{name}".replace(".", "__").replace("-", "_").upper(): str(value)
        for name, value in settings.items()
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    # This process has read Dask's configuration already.
    with dask_config.set(settings), dask(tmp_path) as made:
        assert made.address.startswith("tls://")
        made.begin(UNATTENDED, MAKES_UP)
        use(library, made)
        assert "1 tagged" in library("soundtags", ONE).stdout
        # Who has no certificate is not let in.
        for name in environment:
            monkeypatch.delenv(name)
        said = complaints(library, TWO)
        assert "no scheduler answers at tls://" in said
        assert said.count("\n") == 1


def test_what_goes_wrong_on_a_worker_is_told_as_here():
    made = make_plan(["msd-musicnn-1"], Path("nowhere"), Settings(), print)
    for each in vars(errors).values():
        if isinstance(each, type) and issubclass(each, errors.SoundtagsError):
            broken = {"msd-musicnn-1": errors.UnusableModel("y")}
            error = each(broken if each is errors.BrokenModels else "y")
            sent = encode(Reply("tcp://worker", Failed(error)))
            reply = read_reply("finished", sent, made, 1)
            assert reply.worker == "tcp://worker"
            assert type(reply.outcome.error) is each
            assert str(reply.outcome.error) == "y"
            assert vars(reply.outcome.error).keys() == vars(error).keys() or (
                isinstance(error, errors.UnexpectedFailure)
            )
