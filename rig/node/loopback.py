"""The way from this machine's own address to the node: browsers take *.localhost for 127.0.0.1."""

import subprocess
from collections.abc import Collection
from pathlib import Path

from rig.errors import RigError
from rig.node.layout import Layout

_RULES = """\
table ip {table} {{
  chain output {{
    type nat hook output priority -100; policy accept;
    ip daddr 127.0.0.1 tcp dport {{ {ports} }} dnat to {node}
  }}
  chain postrouting {{
    type nat hook postrouting priority 100; policy accept;
    oifname "{interface}" ip saddr 127.0.0.1 masquerade
  }}
}}
"""


def publish(layout: Layout, ports: Collection[int]) -> None:
    """Let these ports of 127.0.0.1 lead to the node; from other machines nothing does."""
    retract(layout)
    # Packets from 127.0.0.1 may leave by this one interface, where they get another sender.
    sysctl = Path(f"/proc/sys/net/ipv4/conf/{layout.interface}/route_localnet")
    sysctl.write_text("1\n")
    rules = _RULES.format(
        table=table(layout),
        ports=", ".join(map(str, sorted(ports))),
        node=layout.address,
        interface=layout.interface,
    )
    done = _nft("-f", "-", given=rules)
    if done.returncode:
        raise RigError(f"nft: {done.stderr.strip().splitlines()[-1]}")


def retract(layout: Layout) -> None:
    """Take that back. Does nothing where there is none."""
    _nft("delete", "table", "ip", table(layout))


def table(layout: Layout) -> str:
    """The rules' name."""
    return f"spillway-{layout.name}"


def _nft(*words: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["nft", *words], input=given, capture_output=True, text=True, check=False)
