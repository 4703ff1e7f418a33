"""Conformance tests that ship with edgeopt: a new part's test subclasses the one of its kind."""
