#!/usr/bin/env bash
# Commits generated/ to the branch `regenerate` and opens or updates its pull request, whose text is
# build/diff.txt (what `make diff` printed). For CI: needs git, gh and GH_TOKEN.
set -euo pipefail
if git diff --quiet HEAD -- generated; then
  echo "generated/ is what openapi.yaml gives: no pull request is needed"
  exit
fi
title="Regenerate the client"
git switch --force-create regenerate
git add generated
git -c user.name="regenerate" -c user.email="regenerate@users.noreply.github.com" commit -m "$title"
gh auth setup-git
git push --force origin regenerate
if ! gh pr create --base main --head regenerate --title "$title" --body-file build/diff.txt; then
  gh pr edit regenerate --title "$title" --body-file build/diff.txt
fi
