"""The Keras format: ``.keras`` files, and the ``.h5`` files of Keras 2 and 3.

An artifact holds ``model.keras`` and, where the model has classes of the user's own, ``model.json``
with their names and ``code/`` with the files that define them.
"""

from __future__ import annotations

from edgeopt.formats.keras.declared import KerasDeclared

__all__ = ["DECLARED", "KerasDeclared"]

DECLARED = KerasDeclared()
