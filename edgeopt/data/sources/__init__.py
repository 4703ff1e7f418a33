"""Sources of arrays, one file each; they never import each other."""
