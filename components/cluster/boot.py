"""The script with which a machine in a cloud becomes a node: one for all clouds.

Nothing secret is in it, as whoever may look at a machine's data reads it. The image brings k3s, the
GPU's driver, systemd, curl and iptables; what a cloud adds to that is said where its ``Cloud`` is.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from string import Template

from components.cluster.nodes import (
    EVICTION,
    MACHINE_LABEL,
    REGION_LABEL,
    RESERVED,
    ZONE_LABEL,
)
from components.shapes import Machines

K3S = "/usr/local/bin/k3s"
FOLDER = "/etc/rancher/k3s"
TOKEN_FILE = f"{FOLDER}/join-token"
TRIES, PAUSE = 60, 5
"""Five minutes for each thing: a third of what the autoscaler waits for a node
(``--max-node-provision-time``) before it gives the machine back."""
METADATA = "169.254.169.254"
"""Both clouds' metadata server, which hands out the machine's identity."""


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """What a script has to know of a cloud: two shell functions."""

    facts: str
    """``facts``: sets ``id`` (of this life of the machine), ``address``, ``zone`` and ``provider``
    (its name as the autoscaler spells it), by ``insist``."""
    fetch: str
    """``token``: prints the join token out of ``$secret``, with the machine's own identity."""


_SCRIPT = Template("""\
#!/bin/sh
# Spillway: makes this machine a node of the cluster. Nothing in here is secret.
set -eu
umask 077

pool=$pool
server=$server
version=$version
region=$region
secret=$secret

die() {
    echo "spillway: $$*" >&2
    exit 1
}

# What a command prints, as soon as it prints something.
insist() {
    tries=0
    while :; do
        if answer=$$("$$@") && [ -n "$$answer" ]; then
            printf '%s' "$$answer"
            return 0
        fi
        tries=$$((tries + 1))
        [ "$$tries" -lt $tries ] || return 1
        sleep $pause
    done
}

$facts
$fetch
installed=$$($k3s --version | sed -n 's/^k3s version \\([^ ]*\\).*/\\1/p')
[ "$$installed" = "$$version" ] || die "the image has k3s '$$installed', the cluster '$$version'"

# Pods come in through an interface, the machine itself does not: only the machine may be the
# machine. DNS stays, which clouds serve at the same address.
iptables -w -t raw -I PREROUTING -d $metadata -p tcp ! --dport 53 -j DROP

facts || die 'the metadata server does not answer'
mkdir -p $folder
insist token >$token_file || die 'the join token cannot be read'

# Not by the name of the machine: a cloud gives the same name again, and the cluster remembers who
# had it.
set -- agent \\
    --server "$$server" \\
    --token-file $token_file \\
    --node-name "$$pool-$$id" \\
    --node-ip "$$address" \\
$flags
exec systemd-run --unit=k3s-agent --service-type=exec \\
    --property=Restart=always --property=RestartSec=5 \\
    --property=KillMode=process --property=Delegate=yes \\
    --property=LimitNOFILE=1048576 --property=LimitNPROC=infinity --property=TasksMax=infinity \\
    $k3s "$$@"
""")


def script(
    machines: Machines, cloud: Cloud, *, region: str, secret: str, labels: Mapping[str, str]
) -> str:
    """The script of a pool's machines; ``labels`` are those that the cloud's autoscaler adds."""
    pool, join = machines.pool, machines.join
    kubelet = ",".join(f"{what}={amount}" for what, amount in RESERVED.items())
    eviction = ",".join(f"{what}<{amount}" for what, amount in EVICTION.items())
    given = {**pool.labels, **labels, MACHINE_LABEL: machines.machine}
    flags = [
        '--kubelet-arg "provider-id=$provider"',
        # Pods with GPUs need it, and it does nothing for the others.
        _flag("default-runtime", "nvidia"),
        _flag("kubelet-arg", f"kube-reserved={kubelet}"),
        _flag("kubelet-arg", f"eviction-hard={eviction}"),
        f'--node-label "{REGION_LABEL}=$region"',
        f'--node-label "{ZONE_LABEL}=$zone"',
        *(_flag("node-label", f"{key}={value}") for key, value in given.items()),
        *(_flag("node-taint", f"{taint.key}={taint.text}") for taint in pool.taints),
    ]
    return _SCRIPT.substitute(
        pool=_quoted(pool.name),
        server=_quoted(join.server),
        version=_quoted(join.version),
        region=_quoted(region),
        secret=_quoted(secret),
        tries=TRIES,
        pause=PAUSE,
        facts=cloud.facts,
        fetch=cloud.fetch,
        k3s=K3S,
        metadata=METADATA,
        folder=FOLDER,
        token_file=TOKEN_FILE,
        flags=" \\\n".join(f"    {flag}" for flag in flags),
    )


def _flag(name: str, value: str) -> str:
    return f"--{name} {shlex.quote(value)}"


def _quoted(value: str) -> str:
    """Always: where it needs no quotes, a name with hyphens looks like arithmetic."""
    safe = shlex.quote(value)
    return safe if safe.startswith("'") else f"'{safe}'"
