"""Fetches a model into a folder, before the server beside it starts."""
