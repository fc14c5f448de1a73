# A directory of the guest passes what every filesystem has to, on a kernel of its own: on ext4, by all ways to
# make system calls and to find files, as root and as another user.
# seconds: 900
. guest/lib.sh
cd "$PROJECT"

conformance() { # UID WAYS
  local begin=$SECONDS
  export TMPDIR=/var/tmp/conformance-$1
  mkdir "$TMPDIR"
  chown "$1" "$TMPDIR"
  HOME=$TMPDIR NO_COLOR=1 setpriv --reuid="$1" --regid="$1" --clear-groups -- "$NODE" node_modules/vitest/vitest.mjs run \
    --configLoader native --testTimeout 60000 --reporter=verbose \
    --testNamePattern "^a directory by ($2) " test/filesystem/local/LocalFilesystem.test.ts |&
    grep -av ↓ | tee "/tmp/said$1"
  note "uid $1: $(sed -n 's/^ *Tests *//p' "/tmp/said$1") in $((SECONDS - begin)) s"
}

# By handles, and without the right to open files by them, by paths.
conformance 0 "handles|node" &
conformance 1000 "handles|node"
wait $!
