#!/usr/bin/env bash
# plan.sh STACK FOLDER: what the engine would do, into FOLDER, and the gate's verdict as exit status.
set -euo pipefail
stack=$1 folder=$2
mkdir -p "$folder"

# --ignore-protect: to see all that would end, not only the first of it. `up` does without.
engine=0
pulumi preview --non-interactive --stack "$stack" --json --show-sames --ignore-protect \
  --save-plan "$folder/update-plan.json" > "$folder/preview.json" || engine=$?

verdict=0
.venv/bin/python -m infra.gate "$folder/preview.json" --settings "Pulumi.$stack.yaml" \
  --output "$folder/preview.md" || verdict=$?
if [ -f "$folder/preview.md" ]; then
  cat "$folder/preview.md" >> "${GITHUB_STEP_SUMMARY:-/dev/stdout}"
fi
if [ "$verdict" -ne 0 ]; then
  exit "$verdict"
fi
exit "$engine"
