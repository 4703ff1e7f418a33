"""The cores that can be emulated: what QEMU calls them and what their kernels say of them."""

from __future__ import annotations

from dataclasses import dataclass

from edgeopt.schema.errors import UsageError, did_you_mean

ARMV8 = ("fp", "asimd", "evtstrm", "aes", "pmull", "sha1", "sha2", "crc32", "cpuid")
ARMV82 = (*ARMV8, "atomics", "fphp", "asimdhp", "asimdrdm", "lrcpc", "dcpop", "asimddp")
HASWELL = (
    "fpu", "cx8", "cmov", "mmx", "fxsr", "sse", "sse2", "ssse3", "sse4_1", "sse4_2", "popcnt",
    "movbe", "aes", "xsave", "avx", "f16c", "rdrand", "lahf_lm", "abm", "fma", "bmi1", "avx2",
    "bmi2", "erms",
)  # fmt: skip


@dataclass(frozen=True)
class Core:
    """A core by name. ``part`` is ARM's number of it; ``features`` go by the kernel's names."""

    name: str
    qemu: str  # the program
    cpu: str  # its -cpu; never "max", under which LiteRT's kernels answer wrongly
    title: str
    features: tuple[str, ...]
    part: str = ""

    @property
    def arm(self) -> bool:
        """Whether it needs a userland of its own; an x86 core runs the host's."""
        return bool(self.part)

    def cpuinfo(self) -> str:
        """What its ``/proc/cpuinfo`` says: libraries choose their kernels by it."""
        if not self.arm:
            lines = (
                "processor\t: 0",
                "vendor_id\t: GenuineIntel",
                "cpu family\t: 6",
                "model\t\t: 60",
                f"model name\t: {self.title}",
                f"flags\t\t: {' '.join(self.features)}",
            )
            return "\n".join(lines) + "\n\n"
        each = (
            "BogoMIPS\t: 100.00",
            f"Features\t: {' '.join(self.features)}",
            "CPU implementer\t: 0x41",
            "CPU architecture: 8",
            "CPU variant\t: 0x1",
            f"CPU part\t: {self.part}",
            "CPU revision\t: 0",
        )
        cpus = ["\n".join((f"processor\t: {n}", *each)) + "\n\n" for n in range(2)]
        return "".join(cpus) + f"Hardware\t: {self.title}\n"


CORES = {
    core.name: core
    for core in (
        Core("cortex-a53", "qemu-aarch64", "cortex-a53", "Arm Cortex-A53", ARMV8, "0xd03"),
        Core("cortex-a72", "qemu-aarch64", "cortex-a72", "Arm Cortex-A72", ARMV8, "0xd08"),
        Core("cortex-a76", "qemu-aarch64", "cortex-a76", "Arm Cortex-A76", ARMV82, "0xd0b"),
        Core("haswell", "qemu-x86_64", "Haswell", "Intel Haswell", HASWELL),
    )
}


def core_of(device: str) -> Core:
    """The core of ``emulated:CORE``. Raises UsageError for one that is not known."""
    name = device.partition(":")[2]
    if name not in CORES:
        raise UsageError(
            f"no emulated core '{name}' in '{device}'",
            hint=did_you_mean(name, CORES) or f"known: {', '.join(CORES)}",
        )
    return CORES[name]
