"""B against a baseline A: two model files, or two results."""
