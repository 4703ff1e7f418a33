"""A device behind the real adb client and server; the device's end speaks adb's protocol here."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from loopback import eventually, free_port

from edgeopt.schema.errors import UnreachableError, UsageError
from edgeopt.testing.devices import DeviceConformance
from edgeopt.transport.hello import checked
from edgeopt.transport.kinds import device_named

pytestmark = pytest.mark.long  # needs programs of Debian's: see CONTRIBUTING.md

DEVICE = Path(__file__).with_name("adb_device.py")


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    """An adb server of the tests' own, by its port."""
    assert shutil.which("adb"), "no adb: apt-get install adb"
    port = free_port()
    subprocess.run(["adb", "-P", str(port), "start-server"], check=True, capture_output=True)
    yield port
    subprocess.run(["adb", "-P", str(port), "kill-server"], check=True, capture_output=True)


@pytest.fixture(scope="module")
def serial(server: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The serial of a device that is attached."""
    home, port = tmp_path_factory.mktemp("it's a phone"), free_port()
    process = subprocess.Popen([sys.executable, str(DEVICE), str(port), str(home)])
    name = f"127.0.0.1:{port}"

    def attached() -> bool:
        words = ["adb", "-P", str(server)]
        subprocess.run([*words, "connect", name], check=True, capture_output=True)
        listed = subprocess.run([*words, "devices"], check=True, capture_output=True, text=True)
        return f"{name}\tdevice" in listed.stdout

    try:
        eventually(attached, "adb does not list it")
        yield name
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def phone(
    server: int, serial: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The device as ``adb:phone``, and the folder there, whose name has to be quoted."""
    work = tmp_path / "it's $HOME; a folder"
    path = tmp_path / "devices.yaml"
    path.write_text(
        f'adb:\n  phone:\n    serial: "{serial}"\n    port: {server}\n'
        f'    python: {sys.executable}\n    workdir: "{work}"\n'
        f"    env: {{MARK: \"a 'b' $c\"}}\n"
    )
    monkeypatch.setenv("EDGEOPT_DEVICES", str(path))
    yield work
    eventually(lambda: not list(work.glob("run-*")), "left on the phone")


@pytest.mark.usefixtures("phone")
class TestAdb(DeviceConformance):
    @pytest.fixture
    def target(self) -> str:
        return "adb:phone/onnxruntime"


def test_words_reach_the_device_as_they_are(phone: Path, tmp_path: Path) -> None:
    device = device_named("adb:phone")
    with device.lease(tmp_path, exclusive=True) as lease, lease.start_agent() as agent:
        checked(agent)
        (run,) = phone.glob("run-*")
        (there,) = [p for p in psutil.process_iter() if str(run) in p.cmdline()]
        assert there.environ()["MARK"] == "a 'b' $c"
    assert run.parent == phone, "the folder's name has a quote, a dollar and a semicolon"


def test_an_absent_serial_is_named(server: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server))
    with pytest.raises(UnreachableError, match="no device of that serial is attached") as caught:
        device_named("adb:emulator-5554").hello()
    assert caught.value.where == "adb:emulator-5554" and "adb devices" in caught.value.hint
    with pytest.raises(UsageError, match="is not a serial number"):
        device_named("adb:-s")
