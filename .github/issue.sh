#!/usr/bin/env bash
# issue.sh STACK DRIFTED RUN: one open issue while a stack has drifted, none when it has not.
set -euo pipefail
stack=$1 drifted=$2 run=$3
title="Drift: stack $stack"

number=$(TITLE=$title gh issue list --state open --author 'app/github-actions' --limit 100 \
  --json number,title --jq 'map(select(.title == env.TITLE)) | .[0].number // empty')
if [ "$drifted" = true ]; then
  body="Something differs from what Pulumi made. What it is: the log of $run

Either take it over into the program or the stack's file, or undo it: the next \`up\` does."
  if [ -n "$number" ]; then
    gh issue comment "$number" --body "Still so, or again: $run"
  else
    gh issue create --title "$title" --body "$body"
  fi
elif [ -n "$number" ]; then
  gh issue close "$number" --comment "No difference any more: $run"
fi
