#!/bin/sh
# Starts the gateway; makes the folders of an empty volume first.
set -eu
umask 0027
mkdir -p /data/buckets "$VGW_IAM_DIR"
exec versitygw "$@"
