"""Emulated devices: real kernels of cores that are not here, counted and never timed."""

from edgeopt.devices.emulated.device import EmulatedDevice

__all__ = ["DEVICE"]

DEVICE = EmulatedDevice
