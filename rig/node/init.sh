#!/bin/sh
# First process of a rig's namespaces: makes the mounts and the network private, then becomes the
# supervisor. Everything it lays down ends with the namespaces.
# usage: init.sh STATE NODE ADDRESS GATEWAY PODS QUEUE SUPERVISORD
set -eu
state=$1 node=$2 address=$3 gateway=$4 pods=$5 queue=$6 supervisord=$7

hostname "$node"
# Volumes that kubelet mounts must reach the containers that containerd starts.
mount --make-rshared /
mount -t tmpfs -o mode=0755 tmpfs /run
mount --bind "$state/var-log" /var/log
mount --bind "$state/etc/hosts" /etc/hosts
mount --bind "$state/etc/resolv.conf" "$(readlink -f /etc/resolv.conf)" 2>/dev/null || true

# The caller lays the link once this namespace exists, and then writes a line.
read -r _

ip link set lo up
ip link set eth0 up
ip address add "$address/30" dev eth0
ip route add default via "$gateway"
echo 1 >/proc/sys/net/ipv4/ip_forward
# Every new connection from or to a pod waits for network-policy's verdict: pod to pod and pod to
# machine in FORWARD, pod to node (the API server, a kubelet) in INPUT. The node's own connections,
# such as probes, pass. No --queue-bypass: nobody listening means nothing passes.
for rule in "FORWARD -s $pods" "FORWARD -d $pods" "INPUT -s $pods"; do
    # shellcheck disable=SC2086 # two words each
    iptables -w -t mangle -A $rule -m conntrack --ctstate NEW -j NFQUEUE --queue-num "$queue"
done
exec "$supervisord" -n -c "$state/etc/supervisord.conf"
