"""Samples: where they come from, what each split is for, and how they become model inputs."""
