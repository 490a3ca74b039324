"""The command `beet soundplot`."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beets import config as beets_config
from beets import ui
from beets.exceptions import UserError
from beets.util import displayable_path, syspath

from .. import fields, options
from ..activations import jobs
from ..counting import spreads
from ..errors import BrokenModels, SoundtagsError, attempt
from ..latent import find_layer
from ..library import fetch
from ..portraits import portray
from ..quiet import quiet
from ..readers import Readers
from ..selecting import matching
from ..sessions import SessionPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from optparse import Values

    from beets.library import Item, Library
    from confuse import ConfigView

    from ..analysis import Analysis
    from ..counting import Spread
    from ..decoding import Path as Track
    from ..plan import Plan
    from ..portraits import Portrait

LISTENER = "msd-musicnn-1"  # whose latent features are drawn
SPREADS = "scores.png"
LONGEST = 130  # bytes of a name: most file systems take 255, but not all
UNSAFE = re.compile(r'[<>:"/\\|?*]')
# Names of devices on Windows, with whatever ending.
DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)\s*\.", re.IGNORECASE)


def run(
    lib: Library, config: ConfigView, log: Any, opts: Values, query: list[str]
) -> None:
    """Carry out the command.

    Raises
    ------
    beets.exceptions.UserError
        If nothing could be drawn.
    """
    if not query:
        raise UserError("name the tracks to draw: beet soundplot QUERY")
    ids = matching(lib, query)
    if not ids:
        raise UserError("no track matches")
    folder = Path(opts.output).expanduser()
    pool, readers = SessionPool(options.session_memory(config)), Readers(1)
    try:
        from ..pictures import draw_spreads, draw_track  # or say we cannot

        folder.mkdir(parents=True, exist_ok=True)
        with (
            quiet(log, beets_config["verbose"].get(int) < 2),
            ThreadPoolExecutor(options.jobs(config)) as team,
        ):
            plan = _plan(config, pool, log)
            layer = find_layer(
                LISTENER, None, options.model_dir(config), plan.settings
            )
            sit = partial(
                portray,
                plan=plan,
                layer=layer,
                pool=pool,
                spread=team.map,
                reading=readers.features,
            )
            seen: list[Analysis] = []
            for item, portrait in _portraits(lib, ids, sit, log):
                path = folder / file_name(item)
                draw_track(path, title(item), portrait, plan)
                ui.print_(str(path))
                seen.append(portrait.analysis)
        found = _spreads(seen, plan)
        if found:
            path = folder / SPREADS
            draw_spreads(path, f"Scores of tracks: {len(seen)}", found)
            ui.print_(str(path))
    except SoundtagsError as exc:
        raise UserError(str(exc)) from exc
    except OSError as exc:
        raise UserError(f"{exc.filename}: {exc.strerror}") from exc
    finally:
        pool.close()
        readers.close()
    if not seen:
        raise UserError("no track could be drawn")


def _portraits(
    lib: Library, ids: list[int], sit: Callable[[Track], Portrait], log: Any
) -> Iterator[tuple[Item, Portrait]]:
    """Yield items with their portraits; say why others have none."""
    for item_id in ids:
        item = fetch(lib, item_id)
        if item is None:
            continue  # removed from the library meanwhile
        portrait = attempt(sit, syspath(item.path))
        if isinstance(portrait, SoundtagsError):
            log.error("{}: {}", displayable_path(item.path), portrait)
            log.debug("{}", getattr(portrait, "trace", ""))
        else:
            yield item, portrait


def _plan(config: ConfigView, pool: SessionPool, log: Any) -> Plan:
    """Return the configured plan, without graphs that prove unusable."""
    left_out: set[str] = set()
    while True:
        plan = options.plan(config, log, without=left_out)
        faults = pool.check(jobs(plan))
        if not faults:
            return plan
        if options.models(config):
            raise BrokenModels(faults)
        for fault in faults.values():
            log.warning("left out: {}", fault)
        left_out |= faults.keys()


def _spreads(analyses: list[Analysis], plan: Plan) -> dict[str, Spread]:
    """Count how the scores of some tracks spread."""
    amounts = {
        name: Counter(
            analysis.fields[name]
            for analysis in analyses
            if analysis.fields.get(name) is not None
        )
        for name, kind in fields.item_types(plan.targets.values()).items()
        if fields.kind_of(kind) is float
    }
    return spreads(amounts, plan.targets, plan.settings)


def title(item: Item) -> str:
    """Return artist and title; of an item without a title, its file's name."""
    name = item.title or Path(displayable_path(item.path)).stem
    return f"{item.artist} - {name}" if item.artist else name


def file_name(item: Item) -> str:
    """Return a name that no other item has and that any file system takes."""
    ending = f" ({item.id}).png"
    name = unicodedata.normalize("NFC", title(item))
    name = "".join(each for each in name if each.isprintable())
    name = UNSAFE.sub("_", name).strip(" .-")
    if DEVICE.match(name):
        name = f"_{name}"
    encoded = name.encode()[: LONGEST - len(ending)]
    return (encoded.decode(errors="ignore").rstrip() + ending).lstrip()
