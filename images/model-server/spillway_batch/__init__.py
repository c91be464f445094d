"""Scores the files of one folder with a model into another, and goes on where it was stopped."""
