"""Callbacks for training loops of other libraries: what the module would be on its target now.

``edgeopt.callbacks.lightning.OnTargetCallback`` and
``edgeopt.callbacks.transformers.OnTargetCallback``; the libraries are imported with these modules.
"""

from edgeopt.callbacks.on_target import OnTarget

__all__ = ["OnTarget"]
