#!/usr/bin/env bash
# drift.sh STACK: sets the output `drifted`; fails when the engine could not compare at all.
set -euo pipefail
stack=$1
log=$(mktemp)

status=0
pulumi refresh --non-interactive --stack "$stack" --preview-only --expect-no-changes --diff \
  2>&1 | tee "$log" || status=$?
if [ "$status" -eq 0 ]; then
  echo "drifted=false" >> "$GITHUB_OUTPUT"
elif grep -q 'no changes were expected.*but changes' "$log"; then
  echo "drifted=true" >> "$GITHUB_OUTPUT"
else
  exit "$status"
fi
