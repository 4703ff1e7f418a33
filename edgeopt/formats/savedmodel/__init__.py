"""The SavedModel format of TensorFlow.

An artifact holds the files of a SavedModel, and ``model.json`` with the name of the signature.
"""

from __future__ import annotations

from edgeopt.formats.savedmodel.declared import SavedModelDeclared

__all__ = ["DECLARED", "SavedModelDeclared"]

DECLARED = SavedModelDeclared()
