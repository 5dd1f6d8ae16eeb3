"""The C programs, compiled on first use and again when a source changes."""

import hashlib
import subprocess
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
BUILD = FOLDER / ".build"
FLAGS = ("-O2", "-Wall", "-Wextra", "-Wno-unused-function", "-D_GNU_SOURCE")


@cache
def program(name: str) -> Path:
    """The path of `client`, `csend` or `awake`, compiled with gcc if it is not there; TLS where OpenSSL's headers are.

    Raises:
        subprocess.CalledProcessError: it does not compile; gcc's own words are on stderr.
    """
    sources = sorted([*FOLDER.glob("*.h"), FOLDER / f"{name}.c"])
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]
    made = BUILD / f"{name}-{digest}"
    if made.exists():
        return made
    BUILD.mkdir(exist_ok=True)
    libraries = ["-lm"]
    if name == "client":
        libraries.append("-lz")
        if has_tls():
            libraries += ["-DWITH_TLS", "-lssl", "-lcrypto"]
    temporary = made.with_suffix(".new")
    subprocess.run(["gcc", *FLAGS, "-o", str(temporary), str(FOLDER / f"{name}.c"), *libraries], check=True)
    temporary.replace(made)
    return made


def has_tls() -> bool:
    """Whether the load generator can speak TLS itself."""
    return Path("/usr/include/openssl/ssl.h").exists()
