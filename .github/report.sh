#!/usr/bin/env bash
# report.sh PLANS RUN: one comment of the plans in a folder that a pull request filled, judged anew.
set -euo pipefail
plans=$1 run=$2
reports=$(mktemp -d)

first=true
for name in live rehearsal-prod rehearsal-prod-gcp; do
  plan="$plans/$name/preview.json" report="$reports/$name.md"
  if [ ! -d "$plans/$name" ]; then
    continue
  fi
  # Three reports share a comment. A plan that is refused has a report all the same.
  .venv/bin/python -m infra.gate "$plan" --limit 20000 --output "$report" >&2 || true
  if [ ! -f "$report" ]; then
    printf '## ⚠️ No plan: %s\n\nWhy is in [the run](%s).\n' "$name" "$run" > "$report"
  fi
  if [ "$first" = true ]; then
    printf '<!-- spillway-gate -->\n'
    first=false
  fi
  printf '<!-- %s -->\n' "$name"
  case $name in
    rehearsal-*) printf '_Rehearsal: from what is merged to what is proposed, no cloud asked._\n\n' ;;
    live) printf '_Preview of the real stack._\n\n' ;;
  esac
  grep -v -x -F '<!-- spillway-gate -->' "$report"
  printf '\n'
done
if [ "$first" = true ]; then
  printf '<!-- spillway-gate -->\n## ⚠️ Nothing was planned\n\n'
fi
printf -- '---\nWhole reports and logs: [the run](%s).\n' "$run"
