"""A checkout's stack ``dev`` for another rig: the same in all but its addresses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from rig import paths
from rig.errors import RigError
from rig.node.layout import Layout

LINKED = ("Pulumi.yaml", "__main__.py", "components", "infra", "images", ".venv")
FILE = "Pulumi.dev.yaml"


def adapted(
    folder: Path, layout: Layout, change: Callable[[dict[str, Any]], None] | None = None
) -> Path:
    """Fill ``folder`` with links to the checkout and a stack file of its own.

    ``change`` may alter the settings; the file then loses its comments.
    """
    folder.mkdir(exist_ok=True)
    for name in LINKED:
        (folder / name).symlink_to(paths.ROOT / name)
    dev = Layout.of("dev")
    text = (paths.ROOT / FILE).read_text()
    for theirs, ours in ((str(dev.pods), str(layout.pods)), (dev.address, layout.address)):
        if theirs not in text:
            raise RigError(f"{FILE} does not name {theirs}")
        text = text.replace(theirs, ours)
    if change:
        document = yaml.safe_load(text)
        change(document["config"])
        text = yaml.safe_dump(document)
    (folder / FILE).write_text(text)
    return folder
