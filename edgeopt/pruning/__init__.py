"""Structured pruning: which channels and heads go together, what they are worth, and surgery.

Torch-Pruning's dependency graph says what goes together; everything it says is tried on the
module, against a copy with zeros in the place of what is removed, before it is believed.
"""
