"""Scores and races: gives the agent its turns, makes Measurements of its raw samples."""
