#!/bin/bash
# project-disk.sh IMAGE: makes the image of a disk with this project on it, so that the guest can run it.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
repository=$(readlink -f "$(dirname "$0")/../..")
root=$1.root
mkdir "$root"
trap 'rm -rf -- "$root"' EXIT
# node_modules may be a link, and what it leads to is wanted; but no caches, which change all the time
tar -C "$repository" --exclude='node_modules/./.*' -cf - bin src test package.json tsconfig.json vitest.config.ts node_modules/. | tar -C "$root" -xf -
truncate -s 1G "$1"
mke2fs -q -t ext4 -O ^has_journal -d "$root" "$1"
