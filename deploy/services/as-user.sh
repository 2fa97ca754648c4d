#!/usr/bin/env bash
# Become another user (when this is root) and then the command: as-user.sh USER COMMAND...
. "$(dirname "$0")/lib.sh"
as_user "$@"
