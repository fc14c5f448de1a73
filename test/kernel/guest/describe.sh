#!/bin/bash
# describe.sh COMMAND DIRECTORY: what a command says of a directory. The guest asks on the mount and the host on its disk.
set -euo pipefail
export LC_ALL=C TZ=UTC
cd "$2"
case $1 in
  ls) ls -lanR --time-style=full-iso . ;;
  du) du -ak . | sort -k 2 ;;
  find) find . -printf '%p %y %i %m %U %G %n %s %b %T@ %C@ %l\n' | sort ;;
  tar) tar --sort=name --numeric-owner -cf - . | tar -tvf - --numeric-owner --full-time ;;
  data) find . -type f -print0 | sort -z | xargs -0 -r sha256sum ;;
  *) exit 2 ;;
esac
