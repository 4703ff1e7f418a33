"""What models answered: checks, labels, groups of values, decisions. All metrics use it."""
