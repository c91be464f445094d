#!/usr/bin/env bash
# comment.sh FILE: puts FILE on the pull request whose head was previewed; one comment, not many.
set -euo pipefail
file=$1
marker='<!-- spillway-gate -->'

# Of a fork the event does not name the pull request, and nothing the other run says is believed.
number=$(gh api --method GET "repos/$REPOSITORY/pulls" -f state=open \
  -f head="$HEAD_OWNER:$HEAD_BRANCH" \
  --jq 'map(select(.head.sha == env.HEAD_SHA)) | .[0].number // empty')
if [ -z "$number" ]; then
  echo "no open pull request has this head any more: nothing to say"
  exit 0
fi

comment=$(MARKER=$marker gh api --paginate "repos/$REPOSITORY/issues/$number/comments" --jq \
  '.[] | select(.user.login == "github-actions[bot]" and (.body | startswith(env.MARKER))) | .id' |
  head -n 1)
if [ -n "$comment" ]; then
  gh api --method PATCH "repos/$REPOSITORY/issues/comments/$comment" -F "body=@$file" --silent
else
  gh api --method POST "repos/$REPOSITORY/issues/$number/comments" -F "body=@$file" --silent
fi
