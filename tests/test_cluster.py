"""A cluster: schedulers and workers as processes, and what befalls them."""

from __future__ import annotations

import json
import logging
import os
import pickle
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conftest import ROOT, Beet, write_track

from beetsplug.soundtags import cluster as module
from beetsplug.soundtags import errors
from beetsplug.soundtags.plan import make_plan
from beetsplug.soundtags.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

distributed = pytest.importorskip("distributed")

LISTENERS = Path(__file__).with_name("listeners.py")
PACKAGE = str(Path(errors.__file__).parents[2])  # where it is imported from
PLAIN = ["a", "b", "c", "d"]
posix = pytest.mark.skipif(
    os.name == "nt", reason="Windows has other ways to die"
)


@dataclass
class Dask:
    """A scheduler, and workers with folders of their own."""

    folder: Path
    processes: ExitStack
    settings: dict[str, str] = field(default_factory=dict)  # of Dask
    workers: int = 0

    def __post_init__(self) -> None:
        self.file = self.folder / "scheduler.json"
        self.scheduler = self._start(
            "scheduler", "--port=0", f"--scheduler-file={self.file}"
        )
        wait_for(lambda: self.file.is_file() and self.file.read_text())

    @property
    def address(self) -> str:
        return json.loads(self.file.read_text())["address"]

    def worker(
        self, *options: str, **environment: str
    ) -> subprocess.Popen[bytes]:
        """Start a worker that has the time to get ready."""
        self.workers += 1
        started = self._start(
            "worker",
            f"--scheduler-file={self.file}",
            "--nthreads=1",
            *options,
            **environment,
        )
        with self.client() as client:
            client.wait_for_workers(self.workers, timeout=60)
        return started

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

    def _start(
        self, kind: str, *options: str, **environment: str
    ) -> subprocess.Popen[bytes]:
        home = self.folder / f"{kind}-{self.workers}"
        home.mkdir()
        log = self.processes.enter_context((home / "log").open("wb"))
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
        self.processes.callback(process.wait)
        self.processes.callback(process.terminate)
        return process


def wait_for(found: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
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
        made.worker()
        made.worker()
        yield made


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Dask]:
    """A cluster of two workers that meet what files' names say."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    few = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
    with dask(folder, **few) as made:
        made.worker(f"--preload={LISTENERS}")
        made.worker(f"--preload={LISTENERS}")
        yield made


def fill(beet: Beet, *titles: str) -> None:
    """Import tracks that nobody has heard."""
    source = beet.folder.parent / "in"
    source.mkdir(exist_ok=True)
    for seed, title in enumerate(titles):
        write_track(source / f"{title}.flac", title, seed)
    beet.configure(
        soundtags={"auto": False, "patches": 2}, paths={"default": "$title"}
    )
    beet("import", "-A", source)


def use(beet: Beet, cluster: Dask | str, **more: Any) -> None:
    address = cluster if isinstance(cluster, str) else cluster.address
    beet.configure(
        soundtags={"patches": 2, "cluster": address, **more},
        paths={"default": "$title"},
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


def start(beet: Beet) -> subprocess.Popen[str]:
    """Start a run, and wait until it has finished a track."""
    run = subprocess.Popen(
        [sys.executable, "-m", "beets", "soundtags"],
        env={**beet.environment(), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert run.stdout
    assert run.stdout.readline()
    return run


def tagged(beet: Beet) -> list[str]:
    return [i["title"] for i in beet.items() if "soundtags_plan" in i]


def test_a_cluster_says_what_this_machine_says(beet, listening):
    fill(beet, *"abcdef")
    shown = beet("soundtags", "-pf").stdout.splitlines()
    here = heard(beet)
    (beet.folder / "soundtags.db").unlink()
    use(beet, listening)
    there = beet("soundtags", "-pf").stdout.splitlines()
    assert sorted(there[:-1]) == sorted(shown[:-1])
    assert len(here) > 12
    assert heard(beet) == here
    assert "6 tagged" in beet("soundtags").stdout
    assert len(tagged(beet)) == 6
    assert "6 already up to date" in beet("soundtags").stdout


def test_the_command_line_names_a_cluster(beet, listening):
    fill(beet, "a")
    use(beet, "tcp://127.0.0.1:1")
    done = beet("soundtags", "--cluster", listening.file)
    assert "1 tagged" in done.stdout


def test_an_import_uses_the_cluster(beet, track, listening):
    use(beet, listening)
    beet("import", "-A", track.parent)
    assert tagged(beet) == ["Title"]


def test_workers_find_folders_elsewhere(beet, listening):
    fill(beet, "a")
    music, there = beet.folder / "music", beet.folder.parent / "mount"
    shutil.copytree(music, there)
    here = music / "a.flac"
    here.write_bytes(b"only workers have the music")
    use(beet, listening, cluster_paths={str(music): str(there)})
    assert "1 tagged" in beet("soundtags", "-W").stdout


def test_files_can_be_sent(beet, listening):
    fill(beet, "a")
    nowhere = {str(beet.folder / "music"): "/nowhere"}
    use(beet, listening, cluster_paths=nowhere, cluster_ship=True)
    assert "1 tagged" in beet("soundtags").stdout


def test_a_file_that_is_nowhere_fails_as_here(beet, cluster):
    fill(beet, "a", "b")
    (beet.folder / "music" / "a.flac").unlink()
    for ship in (False, True):
        use(beet, cluster, cluster_ship=ship)
        done = beet("soundtags", "-f")
        assert "1 tagged" in done.stdout
        assert "1 x cannot be opened" in done.stdout
        assert "No such file" in done.stderr


def test_a_file_that_workers_lack_is_named(beet, cluster):
    fill(beet, "a", "b")
    music, there = beet.folder / "music", beet.folder.parent / "mount"
    shutil.copytree(music, there)
    (there / "a.flac").unlink()
    use(beet, cluster, cluster_paths={str(music): str(there)})
    done = beet("soundtags")
    assert "1 tagged" in done.stdout
    assert f"not there on a worker: {there / 'a.flac'}" in done.stderr
    assert "soundtags.cluster_paths" in done.stderr


def test_a_missing_mount_is_named(beet, cluster):
    fill(beet, *PLAIN)
    use(beet, cluster, cluster_paths={str(beet.folder / "music"): "/nowhere"})
    said = complaints(beet)
    assert "/nowhere is not there, or empty" in said
    assert "soundtags.cluster_paths" in said
    assert said.count("\n") == 3  # each worker, and that there is no other


def test_models_are_sent_once(beet, tmp_path):
    fill(beet, *PLAIN)
    folder = beet.folder / "soundtags-models"
    folder.mkdir()
    for suffix in (".pb", ".json"):
        source = ROOT / "models" / f"mtt-musicnn-1{suffix}"
        shutil.copy(source, folder / f"mine{suffix}")
    cache = tmp_path / "cache"
    with dask(tmp_path) as made:
        made.worker(XDG_CACHE_HOME=str(cache))
        use(beet, made, models=["mine"])
        assert "4 tagged" in beet("soundtags").stdout
        (kept,) = cache.rglob("mine.pb")
        assert kept.read_bytes() == (folder / "mine.pb").read_bytes()
        as_it_was = kept.stat()
        assert "4 tagged" in beet("soundtags", "-f").stdout
        assert kept.stat().st_mtime_ns == as_it_was.st_mtime_ns
        assert [*cache.rglob("*.part")] == []
    kept.write_bytes(b"damaged")
    again = tmp_path / "again"
    again.mkdir()
    with dask(again) as made:
        made.worker(XDG_CACHE_HOME=str(cache))
        use(beet, made, models=["mine"])
        assert "4 tagged" in beet("soundtags", "-f").stdout
    assert kept.read_bytes() == (folder / "mine.pb").read_bytes()


def test_another_version_is_named(beet, tmp_path):
    fill(beet, "a")
    other = tmp_path / "other"
    facts = other / "beets_soundtags-9.9.dist-info" / "METADATA"
    facts.parent.mkdir(parents=True)
    facts.write_text("Metadata-Version: 2.1\nName: x\nVersion: 9.9\n")
    with dask(tmp_path) as made:
        made.worker(PYTHONPATH=f"{other}{os.pathsep}{PACKAGE}")
        use(beet, made)
        said = complaints(beet)
    assert "has beets-soundtags 9.9, but here it is" in said
    assert tagged(beet) == []


def test_a_worker_without_the_package_is_named(beet, tmp_path):
    fill(beet, "a")
    empty = tmp_path / "beetsplug" / "soundtags"
    empty.mkdir(parents=True)
    (empty / "__init__.py").touch()
    (empty / "worker.py").write_text("raise ImportError('there is none')")
    with dask(tmp_path) as made:
        made.worker(PYTHONPATH=str(tmp_path))
        use(beet, made)
        said = complaints(beet)
    assert "beets-soundtags[cluster]==" in said


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("tcp://127.0.0.1:1", "no scheduler answers at tcp://127.0.0.1:1"),
        ("gopher://127.0.0.1:1", "neither an address such as"),
        ("127.0.0.1", "neither an address such as tcp://host:8786 nor"),
    ],
)
def test_a_wrong_address_is_named(beet, address, said):
    fill(beet, "a")
    use(beet, address)
    found = complaints(beet)
    assert said in found
    assert found.count("\n") == 1


def test_a_scheduler_file_that_is_none_is_named(beet, tmp_path):
    fill(beet, "a")
    file = tmp_path / "scheduler.json"
    file.write_text("nonsense")
    use(beet, str(file))
    found = complaints(beet)
    assert f"{file}: neither an address" in found
    assert found.count("\n") == 1


def test_no_worker_at_all_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "STARTING", 1)
    models = make_plan(["msd-musicnn-1"], tmp_path, Settings(), print)
    with dask(tmp_path) as made:
        engine = module.Cluster(
            made.address, module.Shares({}), 10**9, logging.getLogger()
        )
        with pytest.raises(errors.UnreachableCluster, match="has no worker"):
            next(engine.hear([(0, "a.flac")], models, lambda *_: None))
        engine.close()


def test_without_dask_the_remedy_is_named(beet, tmp_path):
    fill(beet, "a")
    broken = tmp_path / "path" / "distributed.py"
    broken.parent.mkdir()
    broken.write_text("raise ImportError('made to fail')\n")
    use(beet, "tcp://127.0.0.1:1")
    done = subprocess.run(
        [sys.executable, "-m", "beets", "soundtags"],
        env={
            **beet.environment(),
            "PYTHONPATH": f"{broken.parent}{os.pathsep}{PACKAGE}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "pip install beets-soundtags[cluster]" in done.stderr
    assert "Traceback" not in done.stderr


@posix
def test_a_killed_worker_loses_nothing(beet, cluster):
    titles = [f"slow {number}" for number in range(16)]
    fill(beet, *titles)
    use(beet, cluster)
    run = start(beet)
    victim = min(cluster.pids().values())
    os.kill(victim, signal.SIGKILL)
    said, errors = run.communicate(timeout=120)
    assert run.returncode == 0, said + errors
    assert "16 tagged" in said
    assert errors == ""
    assert tagged(beet) == sorted(titles)


@posix
def test_a_worker_that_stands_still_loses_nothing(beet, tmp_path):
    titles = [f"slow {number}" for number in range(12)]
    fill(beet, *titles)
    ttl = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "3s"}
    with dask(tmp_path, **ttl) as made:
        made.worker(f"--preload={LISTENERS}")
        made.worker(f"--preload={LISTENERS}")
        use(beet, made)
        run = start(beet)
        victim = min(made.pids().values())
        os.kill(victim, signal.SIGSTOP)
        try:
            said, errors = run.communicate(timeout=120)
        finally:
            with suppress(ProcessLookupError):  # by now, its nanny has
                os.kill(victim, signal.SIGKILL)
    assert run.returncode == 0, said + errors
    assert tagged(beet) == sorted(titles)


@posix
def test_what_goes_wrong_costs_that_track_alone(beet, cluster):
    titles = [*PLAIN, "bad", "bug", "crash", "hang"]
    fill(beet, *titles)
    use(beet, cluster)
    done = beet("soundtags")
    assert "4 tagged, 0 already up to date, 4 failed" in done.stdout
    assert tagged(beet) == PLAIN
    lines = done.stderr.splitlines()
    for name, reason in {
        "bad": "made to fail",
        "bug": "unexpected ZeroDivisionError: made to fail",
        "crash": "workers of the cluster crashed on it",
        "hang": "given up: no sound of it in 2 s",
    }.items():
        (line,) = [each for each in lines if f"/{name}.flac" in each]
        assert line.endswith(reason)
    assert len(lines) == 4


@posix
@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_cancels_what_waits(beet, cluster):
    titles = [f"slow {number}" for number in range(40)]
    fill(beet, *titles)
    use(beet, cluster)
    run = start(beet)
    run.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, said = run.communicate(timeout=60)
    assert time.monotonic() < began + 15  # or it would have gone on
    assert "Traceback" not in said
    assert 1 <= len(tagged(beet)) < 20
    wait_for(lambda: cluster.tasks() == 0, 5)


@posix
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_without_the_scheduler_the_run_ends(beet, cluster, how):
    titles = [f"slow {number}" for number in range(40)]
    fill(beet, *titles)
    use(beet, cluster)
    run = start(beet)
    cluster.scheduler.send_signal(how)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 1
    assert said == (
        "error: the scheduler of the cluster has gone; what was finished is"
        " stored, so call again to go on\n"
    )
    assert 1 <= len(tagged(beet)) < 20


@posix
def test_a_worker_that_is_unfit_gets_no_more(beet, cluster, tmp_path):
    titles = [f"slow {number}" for number in range(8)]
    fill(beet, *titles)
    other = tmp_path / "other"
    facts = other / "beets_soundtags-9.9.dist-info" / "METADATA"
    facts.parent.mkdir(parents=True)
    facts.write_text("Metadata-Version: 2.1\nName: x\nVersion: 9.9\n")
    cluster.worker(PYTHONPATH=f"{other}{os.pathsep}{PACKAGE}")
    use(beet, cluster)
    done = beet("soundtags")
    assert "8 tagged" in done.stdout
    assert done.stderr.count("has beets-soundtags 9.9") == 1


def test_a_broken_model_is_left_out(beet, tmp_path):
    fill(beet, "a", "b")
    folder = beet.folder / "soundtags-models"
    folder.mkdir()
    source = ROOT / "models" / "mtt-musicnn-1.json"
    facts = json.loads(source.read_text())
    facts["classes"] = [f"new {name}" for name in facts["classes"]]
    (folder / "mine.json").write_text(json.dumps(facts))
    (folder / "mine.pb").write_bytes(b"nonsense")
    with dask(tmp_path) as made:
        made.worker()
        use(beet, made)
        done = beet("soundtags")
    assert "2 tagged" in done.stdout
    assert "left out: " in done.stderr
    assert "mine.pb" in done.stderr


def test_errors_travel():
    for each in vars(errors).values():
        if isinstance(each, type) and issubclass(each, errors.SoundtagsError):
            broken = each is errors.BrokenModels
            error = each({"x": errors.UnusableModel("y")} if broken else "y")
            again = pickle.loads(pickle.dumps(error))
            assert type(again) is each
            assert str(again) == "y"
    broken = errors.BrokenModels({"x": errors.UnusableModel("y")})
    assert str(pickle.loads(pickle.dumps(broken)).faults["x"]) == "y"
