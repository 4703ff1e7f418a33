"""Searches that ask and are told: they run nothing, know no model, and can be tried by hand."""
