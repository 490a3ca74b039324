"""Take the picture of a report: soundreport.png of soundreport.rst.

    beet soundreport -o report.html
    python docs/soundreport.py report.html

Needs Chromium, or the browser that CHROME names.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from support.browser import browsing, find_browser

WIDTH, HEIGHT = 1000, 900


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("report", type=Path, help="the page")
    parser.add_argument(
        "-o", "--output", type=Path, default=HERE / "soundreport.png"
    )
    given = parser.parse_args()
    browser = find_browser()
    if browser is None:
        sys.exit("no Chromium here; name one in CHROME")
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        browsing(browser, Path(folder)) as page,
    ):
        page.resize(WIDTH, HEIGHT)
        page.open(given.report)
        page.run("document.documentElement.style.overflow = 'hidden'")
        page.resize(WIDTH, page.run("document.documentElement.scrollHeight"))
        page.picture(given.output)


if __name__ == "__main__":
    main()
