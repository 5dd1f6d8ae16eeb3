"""Run a benchmark in an emulated machine, with the files of this one but without its limits.

Where no process may have more than 20,000 descriptors, nobody can see how many viewers one holds. Emulation takes ten to
thirty times as long as the machine itself, so that times say nothing here; counts and bytes do. Results are written as ever.
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.results import FOLDER, read

ROOT = Path(__file__).resolve().parent.parent
EMULATOR = ROOT / ".venv" / "emulator"
#: The descriptors a process may have in there, hard and soft.
DESCRIPTORS = 1_048_576
#: What the command ended with; the console carries only text.
_ENDED = "ended"


def script(command: list[str]) -> str:
    """What the guest runs: *command* at the same place as here, its results handed out; then it is switched off."""
    lines = [
        f"export PATH={shlex.quote(os.environ['PATH'])} HOME={shlex.quote(str(Path.home()))}",
        f"ulimit -n {DESCRIPTORS}",
        "sysctl -qw fs.file-max=4000000 2>/dev/null || echo 4000000 >/proc/sys/fs/file-max",
        f"cd {shlex.quote(str(ROOT))}",
        shlex.join(command),
        f"echo $? >/tmp/guest/{_ENDED}",
        f"find {shlex.quote(str(FOLDER))} -newer /tmp/guest/run -name '*.json' -exec cp {{}} /tmp/guest/ ';'",
        "sync",
        "echo o >/proc/sysrq-trigger",
        # A program to wait with could not be read any more.
        "while :; do :; done",
    ]
    return "\n".join(lines) + "\n"


def qemu(place: Path, memory: str) -> list[str]:
    """The emulator's command line; *place* is what both machines write to."""
    kernel = next(EMULATOR.glob("boot/vmlinuz-*"))
    shares = {"host": "path=/,security_model=none,readonly=on,multidevs=remap", "guest": f"path={place},security_model=none"}
    devices = [
        part
        for name, how in shares.items()
        for part in ("-fsdev", f"local,id={name},{how}", "-device", f"virtio-9p-pci,fsdev={name},mount_tag={name}")
    ]
    return [
        str(EMULATOR / "usr/bin/qemu-system-x86_64"),
        *("-L", str(EMULATOR / "usr/share/qemu"), "-L", str(EMULATOR / "usr/share/seabios")),
        *("-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", memory),
        *("-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio"),
        *("-kernel", str(kernel), "-initrd", str(EMULATOR / "initrd.gz")),
        *("-append", "console=ttyS0 quiet panic=-1 mitigations=off nokaslr"),
        *devices,
    ]


def run(command: list[str], memory: str) -> int:
    """Run *command* in a guest, what it prints on our own output; its exit code, or 1 where it did not end."""
    subprocess.run(["sh", str(ROOT / "scripts" / "emulator.sh")], check=True)
    libraries = ":".join(str(each) for each in sorted(EMULATOR.glob("**/*-linux-gnu")) if each.is_dir())
    with tempfile.TemporaryDirectory(prefix="guest-") as made:
        place = Path(made)
        (place / "run").write_text(script(command))
        environment = os.environ | {"LD_LIBRARY_PATH": libraries}
        subprocess.run(qemu(place, memory), env=environment, stdin=subprocess.DEVNULL, check=True)
        for found in place.glob("*.json"):
            result = read(found)
            result.command = shlex.join(["python", "-m", "bench.guest", *sys.argv[1:]])
            result.save()
        ended = place / _ENDED
        return int(ended.read_text()) if ended.exists() else 1


def main() -> None:
    """Run it."""
    made = argparse.ArgumentParser(
        prog="python -m bench.guest",
        description=__doc__,
        epilog='example: python -m bench.guest python -m bench.memory --rounds 0 --sweep "" --rate 0.2',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--memory", default="12G", help="of the guest (default %(default)s)")
    made.add_argument("command", nargs=argparse.REMAINDER, help="what to run in it")
    options = made.parse_args()
    if not options.command:
        made.error("say what to run")
    sys.exit(run(options.command, options.memory))


if __name__ == "__main__":
    main()
