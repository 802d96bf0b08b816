"""Open JupyterLab on the first lesson: what ``make lab`` runs once the environment is ready.

With a screen a browser opens; without one the address is printed. Further arguments go to
JupyterLab; one that is given here takes the place of ours of the same name.
"""

import logging
import os
import secrets
import sys
import webbrowser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import lesson_kernels
import zmq

ROOT = Path(__file__).resolve().parent.parent

# What gives figures in JupyterLab their alternative text.
EXTENSIONS = ROOT / "tools" / "labextensions"

WIDGET = "application/vnd.jupyter.widget-view+json"


def first_lesson(root: Path) -> Path:
    """Return the first lesson by name, relative to the checkout.

    Raises
    ------
    FileNotFoundError
        There is none.
    """
    lessons = sorted((root / "notebooks").glob("[0-9]*.ipynb"))
    if not lessons:
        raise FileNotFoundError(f"found no lesson in {root / 'notebooks'}, expected 00_….ipynb")
    return lessons[0].relative_to(root)


def has_screen(environ: dict[str, str], platform: str) -> bool:
    """Say whether a browser that is opened here would be seen by whoever asked for it.

    Parameters
    ----------
    environ : dict of str to str
        The environment variables.
    platform : str
        As in `sys.platform`.
    """
    if platform.startswith("linux") and not (
        environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")
    ):
        return False
    if platform == "darwin" and environ.get("SSH_CONNECTION"):
        return False
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def arguments(root: Path, token: str, browser: bool, asked: list[str]) -> list[str]:
    """Return JupyterLab's arguments: this machine only, behind a token.

    Parameters
    ----------
    root : Path
        The checkout, which the file browser shows.
    token : str
        What the address must carry.
    browser : bool
        Whether to open one.
    asked : list of str
        The user's own arguments.
    """
    ours = [
        "--ip=127.0.0.1",
        f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={root}",
        f"--LabApp.default_url=/lab/tree/{quote(first_lesson(root).as_posix())}",
        "--Application.log_level=WARN",
        f"--LabApp.extra_labextensions_path={EXTENSIONS}",
        # No pings: a connection within one machine needs none. With its own settings the server
        # warns of them, and with a timeout as short as the interval, as the warning asks for, it
        # closes each connection at the first ping.
        "--ServerApp.tornado_settings={'ws_ping_interval': 0}",
    ]
    if zmq.has("curve"):
        ours.append("--KernelManager.transport_encryption=auto")  # without it each kernel warns
    if not browser:
        ours.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        ours.append("--allow-root")  # a bare container has no other user
    names = {argument.partition("=")[0] for argument in asked}
    return [argument for argument in ours if argument.partition("=")[0] not in names] + asked


def is_news(record: logging.LogRecord) -> bool:
    """Tell whether a message of the server's says anything.

    No lesson is trusted before a reader has run it: its outputs are shown, without their scripts.
    And a file that is listed while it is being saved has a second name for a moment.
    """
    untrusted = record.msg == "Notebook %s is not trusted" and "notebooks/" in str(record.args)
    saving = record.msg == "%s doesn't exist" and "/.~" in str(record.args)
    return not (untrusted or saving)


def keep_images(model: dict[str, Any], **_: Any) -> None:
    """Leave a widget out of a notebook that is being saved, where its image comes with it.

    A widget is named by a random number, which dies with its kernel: what is saved would differ
    each time, and nobody could show it. A hook of Jupyter's, called before each save.

    Parameters
    ----------
    model : dict
        The file to be saved, changed in place: ``type`` and ``content``.
    """
    if model["type"] != "notebook" or not model.get("content"):
        return
    for cell in model["content"]["cells"]:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output["data"].pop(WIDGET, None)


def main() -> int:
    """Start JupyterLab and stay until it ends."""
    from jupyterlab.labapp import LabApp

    lesson_kernels.prepare(os.environ, keep_own=True)
    token = secrets.token_hex(24)
    browser = has_screen(dict(os.environ), sys.platform)
    try:
        given = arguments(ROOT, token, browser, sys.argv[1:])
    except FileNotFoundError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    server = LabApp.initialize_server(argv=given)
    server.log.addFilter(is_news)
    server.contents_manager.register_pre_save_hook(keep_images)
    # Asked of the server, since it takes the next port where the wanted one is in use.
    address = f"http://{server.ip}:{server.port}{server.default_url}"
    address += f"?token={server.identity_provider.token}"
    how = "a browser opens; if none does, open" if server.open_browser else "open in a browser"
    print(f"lab: {how} {address}", flush=True)
    print("lab: Ctrl-C twice ends it", flush=True)
    server.start()
    return 0


if __name__ == "__main__":
    sys.exit(main())
