"""Build the site into ``site/``: static pages of all lessons and of what they link to.

No cell is run and nothing is fetched. Where the environment variable SITE_REPOSITORY names the
project's public repository ("owner/name" on GitHub, whose own workflows need not be told), pages of
lessons get buttons that open them in Colab and in Binder.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pages


def build(site: Path) -> int:
    """Write the site into a folder, in place of what is there; return Sphinx' exit code."""
    with tempfile.TemporaryDirectory() as folder:
        source, parsed, made = (Path(folder, name) for name in ("source", "parsed", "made"))
        pages.lay_out(pages.ROOT, source)
        options = ["--fail-on-warning", "--keep-going", "--quiet", "--jobs", "auto"]
        command = [sys.executable, "-m", "sphinx", *options, "-c", str(Path(__file__).parent)]
        done = subprocess.run([*command, "-d", str(parsed), str(source), str(made)], check=False)
        for lesson in (pages.ROOT / "notebooks").glob("*.ipynb"):
            shutil.copy(lesson, made / "notebooks")  # to download
        shutil.rmtree(site, ignore_errors=True)
        shutil.move(made, site)
    return done.returncode


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1]) if sys.argv[1:] else pages.ROOT / "site"))
