# A file that is gone is stale for ever, also when a new one has its inode number: this kernel's times of birth tick so
# slowly that both may have the same. It holds however the server recognises and finds files.
# seconds: 400
. guest/lib.sh

# run IMPLEMENTATIONS WHO...: in a directory of its own
run() {
  local implementations=$1 dir status=0
  shift
  dir=$(mktemp -d /var/tmp/reuse.XXXXXX)
  chmod 777 "$dir"
  # An emulated processor spends more on compilers, and on threads for them, than they save.
  # shellcheck disable=SC2086 # several words
  (cd "$PROJECT" && "$@" "$NODE" --single-threaded --no-opt test/kernel/inside/reuse.ts "$dir" 10 $implementations) || status=$?
  rm -rf "$dir"
  return "$status"
}

# reuse NAME "IMPLEMENTATION..." WHO...
reuse() {
  local name=$1 outcome status=0
  shift
  outcome=$(run "$@") || status=$?
  # On an emulated processor Node.js itself was seen to end without a word. What is wrong with the server is told by no signal.
  if [ "$status" -ge 128 ]; then
    note "$name: ended by signal $((status - 128)), and began again"
    status=0
    outcome=$(run "$@") || status=$?
  fi
  [ "$status" = 0 ] || fail "$name: ended with $status"
  note "$name: $(awk '{ printf "%s %s %d of %d numbers came back, %d with the time of birth; ", $1, $2, $4, $3, $5 }' <<<"$outcome")"
  awk '$4 == 0 { print "no number came back:", $0; exit 1 }' <<<"$outcome"
}

[ "$(findmnt -n -o FSTYPE --target /var/tmp)" = ext4 ] || fail "/var/tmp is not on ext4, where numbers come back"
reuse "kernel handles, and node:fs" "koffi node" env
reuse "kernel handles that may not be opened" koffi setpriv --bounding-set=-dac_read_search --inh-caps=-dac_read_search
reuse "the same as a user, and node:fs" "koffi node" setpriv --reuid=1000 --regid=1000 --clear-groups
