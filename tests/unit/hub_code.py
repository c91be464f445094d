"""The hub's own modules that need no JupyterHub, as its image has them."""

import importlib
import sys

import builders

sys.path.append(str(builders.ROOT / "images" / "hub"))

told = importlib.import_module("spillway_hub.told")
profiles = importlib.import_module("spillway_hub.profiles")
progress = importlib.import_module("spillway_hub.progress")
queues = importlib.import_module("spillway_hub.queues")
waiting = importlib.import_module("spillway_hub.waiting")
transactions = importlib.import_module("spillway_hub.transactions")
