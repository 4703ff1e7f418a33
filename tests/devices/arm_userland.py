"""An ARM userland in a folder: Debian's arm64 packages and the wheels that an agent needs.

``python arm_userland.py FOLDER`` builds it (about 100 MB to fetch); what is there already stays.
qemu-user runs its programs and proot lets them start each other, so that a whole ARM board
stands behind a loopback sshd. Times there are no latencies.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

PACKAGES = (
    "python3-minimal", "libpython3-stdlib", "libstdc++6", "libgomp1", "zlib1g", "dash",
    "coreutils", "tar",
)  # fmt: skip
WHEELS = ("numpy", "onnxruntime", "flatbuffers", "packaging", "protobuf")
GLIBC = (28, 27, 17)  # manylinux tags, newest first
CPU = "cortex-a76"
HOME = "/home/board"  # there before proot runs: what proot makes for itself, it takes away again
CPUINFO = """\
processor\t: {number}
BogoMIPS\t: 50.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: 0xd0b
CPU revision\t: 1

"""


def build(folder: Path) -> Path:
    """The userland's root; ``site`` beside it holds the wheels."""
    root, done = folder / "root", folder / "done"
    if done.exists():
        return root
    for name in ("apt", "debs/partial", "lists/partial", "wheels", "site"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    options = {
        "APT::Architecture": "arm64", "APT::Architectures": "arm64",
        "Dir::State::Lists": folder / "lists", "Dir::State::status": folder / "status",
        "Dir::Cache::archives": folder / "debs", "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "", "APT::Sandbox::User": "root", "Debug::NoLocking": "1",
    }  # fmt: skip
    apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
    run([*apt, "update"])
    run([*apt, "-y", "install", "--download-only", "--no-install-recommends", *PACKAGES])
    for deb in sorted((folder / "debs").glob("*.deb")):
        run(["dpkg", "-x", str(deb), str(root)])
    fetch_wheels(folder, python_of(root))
    furnish(root)
    done.touch()
    return root


def python_of(root: Path) -> str:
    """``3.11``: the version of Debian's Python there."""
    return sorted(p.name for p in (root / "usr/bin").glob("python3.*"))[-1].removeprefix("python")


def fetch_wheels(folder: Path, version: str) -> None:
    tags = [f"--platform=manylinux_2_{n}_aarch64" for n in GLIBC]
    run([
        sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:",
        f"--python-version={version}", "--implementation=cp", *tags,
        "--platform=manylinux2014_aarch64", "--platform=any", "-d", str(folder / "wheels"), *WHEELS,
    ])  # fmt: skip
    for wheel in (folder / "wheels").glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder / "site")


def furnish(root: Path) -> None:
    """What Debian's packages do not bring and cpuinfo, shells and Python look for."""
    if not os.path.lexists(root / "bin/sh"):
        (root / "bin/sh").symlink_to("dash")
    cpu = root / "sys/devices/system/cpu"
    for folder in (root / "tmp", root / "proc", root / "site", root / HOME[1:], cpu):
        folder.mkdir(parents=True, exist_ok=True)
    for name in ("possible", "present"):
        (cpu / name).write_text("0-1\n")
    (root / "cpuinfo").write_text("".join(CPUINFO.format(number=n) for n in range(2)))
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")


def command(folder: Path, home: Path) -> str:
    """A shell script that runs ``$SSH_ORIGINAL_COMMAND`` on the ARM board."""
    for tool in ("proot", "qemu-aarch64"):
        assert shutil.which(tool), f"no {tool}: apt-get install proot qemu-user"
    root, qemu = folder / "root", shutil.which("qemu-aarch64")
    binds = [
        f"-b {path}"
        for path in ("/dev", "/proc", f"{root}/cpuinfo:/proc/cpuinfo", f"{folder}/site:/site",
                     f"{home}:{HOME}")
    ]  # fmt: skip
    return (
        "#!/bin/sh\n"
        f'exec proot -q "{qemu} -cpu {CPU}" -r {root} {" ".join(binds)} -w / '
        f'/usr/bin/env HOME={HOME} /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n'
    )


def run(words: list[str]) -> None:
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(words, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(words)[:300]}: {done.stderr[-2000:]}"


if __name__ == "__main__":
    print(build(Path(sys.argv[1]).resolve()))
