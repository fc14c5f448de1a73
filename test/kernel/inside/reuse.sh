# A file that is gone is stale for ever, also when a new one has its inode number: this kernel's times of birth tick so
# slowly that both may have the same. It holds however the server recognises and finds files.
# seconds: 400
. guest/lib.sh

# reuse NAME "IMPLEMENTATION..." WHO...
reuse() {
  local name=$1 implementations=$2 dir outcome
  shift 2
  dir=$(mktemp -d /var/tmp/reuse.XXXXXX)
  chmod 777 "$dir"
  # An emulated processor spends more on compilers, and on threads for them, than they save.
  # shellcheck disable=SC2086 # several words
  outcome=$(cd "$PROJECT" && "$@" "$NODE" --single-threaded --no-opt test/kernel/inside/reuse.ts "$dir" 10 $implementations) ||
    fail "$name: ended with status $?"
  rm -rf "$dir"
  note "$name: $(awk '{ printf "%s %s %d of %d numbers came back, %d with the time of birth; ", $1, $2, $4, $3, $5 }' <<<"$outcome")"
  awk '$4 == 0 { print "no number came back:", $0; exit 1 }' <<<"$outcome"
}

[ "$(findmnt -n -o FSTYPE --target /var/tmp)" = ext4 ] || fail "/var/tmp is not on ext4, where numbers come back"
reuse "kernel handles, and node:fs" "koffi node" env
reuse "kernel handles that may not be opened" koffi setpriv --bounding-set=-dac_read_search --inh-caps=-dac_read_search
reuse "the same as a user, and node:fs" "koffi node" setpriv --reuid=1000 --regid=1000 --clear-groups
