# A file that is gone is stale for ever, also when a new one has its inode number: this kernel's times of birth tick so
# slowly that both may have the same. It holds however the server recognises and finds files.
# seconds: 400
. guest/lib.sh

# reuse NAME IMPLEMENTATION WHO...
reuse() {
  local name=$1 implementation=$2 dir outcome
  shift 2
  dir=$(mktemp -d /var/tmp/reuse.XXXXXX)
  chmod 777 "$dir"
  # An emulated processor spends more on compilers, and on threads for them, than they save.
  outcome=$(cd "$PROJECT" && "$@" "$NODE" --single-threaded --no-opt test/kernel/inside/reuse.ts "$implementation" "$dir" 10)
  rm -rf "$dir"
  note "$name: $(awk '{ printf "%s %d of %d numbers came back, %d with the time of birth; ", $1, $3, $2, $4 }' <<<"$outcome")"
  awk '$3 == 0 { print "no number came back:", $0; exit 1 }' <<<"$outcome"
}

[ "$(findmnt -n -o FSTYPE --target /var/tmp)" = ext4 ] || fail "/var/tmp is not on ext4, where numbers come back"
incapable=(setpriv --bounding-set=-dac_read_search --inh-caps=-dac_read_search)
user=(setpriv --reuid=1000 --regid=1000 --clear-groups)
reuse "kernel handles" koffi env
reuse "kernel handles that may not be opened" koffi "${incapable[@]}"
reuse "the same as a user" koffi "${user[@]}"
reuse "node:fs" node env
reuse "node:fs as a user" node "${user[@]}"
