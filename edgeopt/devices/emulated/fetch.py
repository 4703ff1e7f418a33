"""Gets what an emulated device is made of: Debian packages by apt, wheels by pip."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

from edgeopt.schema.errors import DeviceError

PACKAGES = ("python3-minimal", "libpython3-stdlib", "libstdc++6", "libgomp1", "zlib1g")
RUNTIMES = ("onnxruntime", "ai-edge-litert")  # in the host's versions, to compare with
BESIDE = ("numpy", "flatbuffers", "packaging", "protobuf")  # what they import
GLIBC = (31, 28, 27, 26, 24, 17)  # manylinux tags, newest first
PORTS = "deb [arch=arm64] http://ports.ubuntu.com/ubuntu-ports {name} main universe\n"
COMMAND_S = 1200.0


def check_host() -> None:
    """Raise DeviceError where the host is no Debian or Ubuntu, naming what is needed."""
    os_release = platform.freedesktop_os_release() if sys.platform == "linux" else {}
    family = {os_release.get("ID", ""), *os_release.get("ID_LIKE", "").split()}
    if not family & {"debian", "ubuntu"}:
        raise DeviceError(
            "the emulation is set up with apt, which this system lacks",
            where=os_release.get("PRETTY_NAME", sys.platform),
            hint="use Debian or Ubuntu, or point EDGEOPT_EMULATION at a folder made there; "
            "qemu-user 6.0 to 8.2 must be installed here",
        )


def debs(work: Path, to: Path) -> None:
    """Download the packages of an arm64 userland, with lists of its own. Raises DeviceError."""
    for part in ("lists/partial", "cache"):
        (work / part).mkdir(parents=True, exist_ok=True)
    (to / "partial").mkdir(parents=True, exist_ok=True)
    (work / "status").touch()
    options = [
        "-oAPT::Architecture=arm64", "-oAPT::Architectures=arm64", "-oAPT::Sandbox::User=",
        f"-oDir::State::Lists={work / 'lists'}", f"-oDir::State::status={work / 'status'}",
        f"-oDir::Cache={work / 'cache'}", f"-oDir::Cache::archives={to}",
        "-oDebug::NoLocking=1", "-oDpkg::Use-Pty=0", "-q",
    ]  # fmt: skip
    os_release = platform.freedesktop_os_release()
    if os_release.get("ID") == "ubuntu":  # arm64 lies on other servers there
        name = os_release["VERSION_CODENAME"]
        lines = [PORTS.format(name=name + suffix) for suffix in ("", "-updates", "-security")]
        (work / "sources.list").write_text("".join(lines), encoding="ascii")
        options += [f"-oDir::Etc::sourcelist={work / 'sources.list'}",
                    "-oDir::Etc::sourceparts=/dev/null"]  # fmt: skip
    command("apt-get", *options, "update", doing="read Debian's package lists")
    command("apt-get", *options, "install", "--yes", "--download-only", "--no-install-recommends",
            *PACKAGES, doing="download the arm64 packages")  # fmt: skip
    (to / "partial").rmdir()
    (to / "lock").unlink(missing_ok=True)


def unpack_debs(debs: Path, root: Path) -> str:
    """Unpack all packages; the version of the Python in them. Raises DeviceError."""
    for deb in sorted(debs.glob("*.deb")):
        command("dpkg-deb", "--extract", str(deb), str(root), doing=f"unpack {deb.name}")
    pythons = sorted(root.glob("usr/bin/python3.*[0-9]"))
    if not pythons:
        raise DeviceError("the arm64 packages hold no Python", where=str(root))
    return pythons[-1].name.removeprefix("python")


def wheels(python: str, to: Path) -> None:
    """Download aarch64 wheels for a Python version, runtimes as on the host. Raises DeviceError."""
    to.mkdir(parents=True, exist_ok=True)
    named = []
    for name in (*RUNTIMES, *BESIDE):
        try:
            pinned = f"=={metadata.version(name)}" if name in RUNTIMES else ""
        except metadata.PackageNotFoundError:
            pinned = ""
        named.append(name + pinned)
    platforms = [f"--platform=manylinux_2_{minor}_aarch64" for minor in GLIBC]
    command(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
            "--only-binary=:all:", f"--python-version={python}", "--implementation=cp",
            *platforms, "--platform=manylinux2014_aarch64", f"--dest={to}", *named,
            doing="download the aarch64 wheels")  # fmt: skip


def unpack_wheels(wheels: Path, site: Path) -> None:
    """Unpack all wheels into one folder. Raises DeviceError for one that is no archive."""
    for wheel in sorted(wheels.glob("*.whl")):
        try:
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(site)  # keeps below the folder whatever the names
        except (OSError, zipfile.BadZipFile) as error:
            raise DeviceError(f"cannot unpack: {error}", where=wheel.name) from None


def command(*words: str, doing: str, cwd: Path | None = None) -> str:
    """Run a command; what it printed. Raises DeviceError with its last words."""
    try:
        ended = subprocess.run(
            words, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=COMMAND_S, check=False,
            env={**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
        )  # fmt: skip
    except FileNotFoundError:
        raise DeviceError(f"cannot {doing}: no {words[0]} here", where=words[0]) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeviceError(f"cannot {doing}: {error}", where=words[0]) from None
    text = ended.stdout.decode(errors="replace").strip()
    if ended.returncode != 0:
        last = "\n".join(text.splitlines()[-8:])
        raise DeviceError(f"cannot {doing}", where=words[0], hint=f"it said: {last}")
    return text
