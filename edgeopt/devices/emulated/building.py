"""Sets the emulation up: staged beside its place, checked, moved there by one rename."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from importlib import metadata
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from edgeopt.devices.emulated import fetch
from edgeopt.devices.emulated.cores import CORES
from edgeopt.devices.emulated.folder import (
    CORES_FOLDER,
    DOWNLOADS,
    MANIFEST,
    PLUGIN,
    ROOT,
    SITE,
    VERSION,
    broken,
    digests_below,
    emulation_folder,
    manifest,
)
from edgeopt.schema.errors import DeviceError

QEMUS = ("qemu-aarch64", "qemu-x86_64")
QEMU_PACKAGE = "qemu-user"
NEWEST = (8, 2)  # whose plugins still speak version 1

Tell = Callable[[str], None]


def setup(folder: Path | None = None, *, yes: bool = False, tell: Tell = print) -> dict[str, Any]:
    """Make the emulation, or check it and repair what is broken; what was done.

    ``yes`` allows a root to install QEMU with apt. ``tell`` hears of each step. An
    interrupted set-up leaves what was there before. Raises DeviceError.
    """
    folder = folder or emulation_folder()
    qemu = ready_qemu(yes, tell)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder, tell):
            known = manifest(folder)
            bad = broken(folder, "unpacked") + broken(folder, "downloads") if known else []
            current = known.get("versions", {}).get("plugin") == _plugin_digest()
            if not known or bad or not current:
                what = f"repairing {len(bad)} files" if bad else "making the emulation"
                tell(f"{what} in {folder}")
                _make(folder, tell)
            return {
                "folder": str(folder),
                "state": "repaired" if bad else "sound" if known and current else "made",
                "repaired": bad,
                "qemu": qemu,
                "versions": manifest(folder)["versions"],
                "cores": list(CORES),
            }
    except OSError as error:
        raise DeviceError(f"cannot set up: {error.strerror or error}", where=str(folder)) from error


def ready_qemu(yes: bool, tell: Tell) -> str:
    """QEMU's version, after installing it where that is allowed. Raises DeviceError."""
    if not all(shutil.which(name) for name in QEMUS):
        fetch.check_host()
        install = ("apt-get", "install", "--yes", "--no-install-recommends", QEMU_PACKAGE)
        if not yes or os.geteuid() != 0:
            raise DeviceError(
                f"QEMU is not installed: {' and '.join(QEMUS)} are needed",
                where="devices setup emulated",
                hint=f"run 'sudo {' '.join(install)}', or this command as root with --yes",
            )
        tell(f"installing {QEMU_PACKAGE}")
        fetch.command("apt-get", "update", doing="read the package lists")
        fetch.command(*install, doing=f"install {QEMU_PACKAGE}")
    return qemu_version()


@cache
def qemu_version() -> str:
    """The version of the QEMU that is installed. Raises DeviceError for one that is too new."""
    said = fetch.command(QEMUS[0], "--version", doing="ask QEMU for its version")
    match = re.search(r"version (\d+)\.(\d+)\S*", said)
    if not match or not (6, 0) <= (int(match[1]), int(match[2])) <= NEWEST:
        raise DeviceError(
            f"QEMU 6.0 to 8.2 is needed, here is: {said.splitlines()[0][:80]}",
            where=QEMUS[0],
            hint="its later plugin interface has no exact inline counters of this kind",
        )
    return match[0].removeprefix("version ")


def _make(folder: Path, tell: Tell) -> None:
    """Stage, then change places; what was there goes only when the new one stands."""
    stage = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        versions = _fill(stage, folder, tell)
        tell("noting digests")
        noted = {
            "version": VERSION,
            "versions": versions,
            "downloads": digests_below(stage, [DOWNLOADS]),
            "unpacked": digests_below(stage, [ROOT, SITE, CORES_FOLDER, PLUGIN]),
        }
        (stage / MANIFEST).write_text(json.dumps(noted, indent=1) + "\n", encoding="utf-8")
        stage.chmod(0o755)
        old = stage.with_name(stage.name + "-old")
        if folder.exists():
            os.replace(folder, old)
        os.replace(stage, folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _fill(stage: Path, folder: Path, tell: Tell) -> dict[str, str]:
    """Everything but the manifest; versions of what it was made of."""
    _take_over(folder, stage)
    debs, wheels = stage / DOWNLOADS / "debs", stage / DOWNLOADS / "wheels"
    for place in (debs, wheels, stage / ROOT, stage / SITE):
        place.mkdir(parents=True, exist_ok=True)
    whole = bool(manifest(folder)) and not broken(folder, "downloads")
    if not whole:
        fetch.check_host()
        tell("downloading an arm64 userland with apt (16 MB)")
        with tempfile.TemporaryDirectory(prefix="apt-", dir=stage) as work:
            fetch.debs(Path(work), debs)
    tell("unpacking it")
    python = fetch.unpack_debs(debs, stage / ROOT)
    if not whole:
        tell(f"downloading aarch64 wheels for Python {python} with pip (60 MB)")
        fetch.wheels(python, wheels)
    tell("unpacking them")
    fetch.unpack_wheels(wheels, stage / SITE)
    _dress(stage)
    tell("compiling the counting plugin")
    _compile(stage / PLUGIN)
    distributions = metadata.distributions(path=[str(stage / SITE)])
    runtimes = {d.name: d.version for d in distributions if d.name in fetch.RUNTIMES}
    return {"python": python, **runtimes, "plugin": _plugin_digest()}


def _take_over(folder: Path, stage: Path) -> None:
    """Link the downloads that are as they were."""
    bad = set(broken(folder, "downloads"))
    for name in manifest(folder).get("downloads", {}):
        if name not in bad and ".." not in Path(name).parts and name.startswith(DOWNLOADS + "/"):
            (stage / name).parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(folder / name, stage / name)
            except OSError:
                shutil.copyfile(folder / name, stage / name)


def _dress(stage: Path) -> None:
    """A prefix for each core: the userland by links, and a ``/proc/cpuinfo`` of its own."""
    for core in CORES.values():
        prefix = stage / CORES_FOLDER / core.name
        (prefix / "proc").mkdir(parents=True)
        (prefix / "proc" / "cpuinfo").write_text(core.cpuinfo(), encoding="ascii")
        if core.arm:
            for path in sorted((stage / ROOT).iterdir()):
                if path.name not in ("proc", "tmp"):
                    (prefix / path.name).symlink_to(Path("../..") / ROOT / path.name)


def _compile(to: Path) -> None:
    compiler = next((c for c in ("cc", "gcc", "clang") if shutil.which(c)), None)
    if compiler is None:
        raise DeviceError(
            "no C compiler for the counting plugin",
            where="devices setup emulated",
            hint="run 'sudo apt-get install gcc libc6-dev'",
        )
    with as_file(files("edgeopt.devices.emulated") / "count.c") as source:
        fetch.command(compiler, "-O2", "-shared", "-fPIC", "-o", str(to), str(source),
                      doing="compile the counting plugin")  # fmt: skip


def _plugin_digest() -> str:
    source = (files("edgeopt.devices.emulated") / "count.c").read_bytes()
    return hashlib.sha256(source).hexdigest()


@contextlib.contextmanager
def _alone(folder: Path, tell: Tell) -> Iterator[None]:
    """One set-up of a folder at a time."""
    handle = os.open(folder.with_name(f".{folder.name}.lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("waiting for another set-up of the same folder")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
