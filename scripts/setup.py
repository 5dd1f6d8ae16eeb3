"""`./just setup`: uv.lock into .venv, the page into web/dist. A second run does nothing and needs no network."""

import fcntl
import os
import ssl
import subprocess
import sys
import time
from pathlib import Path

from scripts import node, web

ROOT = Path(__file__).resolve().parent.parent
VENV = Path(sys.prefix)


def main() -> int:
    """Set up what is not set up yet, and tell how long it took if it was anything; returns the exit code."""
    # `./just` sets SETUP_SINCE when it had to make .venv, so that the time told is the time a newcomer waited.
    since = float(os.environ.get("SETUP_SINCE") or time.time())
    with (VENV / ".setup-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            synced = sync()
            built = web.build()
        except web.Failed as error:
            print(error, file=sys.stderr)
            return 1
    if synced or built:
        print(f"set-up took {time.time() - since:.1f} s (downloads included)", flush=True)
    return 0


def sync() -> bool:
    """Bring .venv in step with uv.lock; returns whether there was anything to do.

    Raises:
        Failed: uv ended with an error.
    """
    groups = [] if node.machine_has_it() else ["--group", node.GROUP]
    command = [str(VENV / "bin" / "uv"), "sync", "--frozen", *groups]
    if subprocess.run([*command, "--check"], cwd=ROOT, capture_output=True, check=False).returncode == 0:
        return False
    print("Installing the packages of uv.lock (some 250 MB, once)", flush=True)
    if code := subprocess.run([*command, "--quiet"], cwd=ROOT, env=environment(), check=False).returncode:
        msg = f"`uv sync` ended with {code}; its own words are above"
        raise web.Failed(msg)
    return True


def environment() -> dict[str, str]:
    """What uv runs with: it trusts the certificates this machine trusts, as pip does, and its own where there are none."""
    paths = ssl.get_default_verify_paths()
    trusted = {"UV_SYSTEM_CERTS": "true"} if paths.cafile or paths.capath else {}
    return {**trusted, **os.environ}


if __name__ == "__main__":
    sys.exit(main())
