"""Modules of the serving images that need nothing but Python, as their images have them."""

import importlib
import sys

import builders

for image in ("model-server", "storage-initializer"):
    sys.path.append(str(builders.ROOT / "images" / image))

choice = importlib.import_module("spillway_model")
address = importlib.import_module("spillway_fetch.address")
fetching = importlib.import_module("spillway_fetch.__main__")
target = importlib.import_module("spillway_fetch.target")
words = importlib.import_module("spillway_fetch.words")
