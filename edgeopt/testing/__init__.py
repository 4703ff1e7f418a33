"""Conformance tests that ship with edgeopt: a new device's test subclasses them."""
