# A file that is gone is stale for ever, also when a new one has its inode number: this kernel's times of birth tick so
# slowly that both may have the same. It holds however the server recognises and finds files.
# seconds: 400
. guest/lib.sh

# reuse NAME PLACE ROUNDS IMPLEMENTATION WHO...
reuse() {
  local name=$1 place=$2 rounds=$3 implementation=$4 kind dir outcome
  shift 4
  kind=$(findmnt -n -o FSTYPE --target "$place")
  dir=$(mktemp -d "$place/reuse.XXXXXX")
  chmod 777 "$dir"
  outcome=$(cd "$PROJECT" && "$@" "$NODE" test/kernel/inside/reuse.ts "$implementation" "$dir" "$rounds")
  rm -rf "$dir"
  note "$name, $kind: $(awk '{ printf "%s %d of %d numbers came back, %d with the time of birth; ", $1, $3, $2, $4 }' <<<"$outcome")"
  # tmpfs counts on and on; ext4 has to have shown what this is about
  [ "$kind" = tmpfs ] || awk '$3 == 0 { print "no number came back:", $0; exit 1 }' <<<"$outcome"
}

incapable=(setpriv --bounding-set=-dac_read_search --inh-caps=-dac_read_search)
user=(setpriv --reuid=1000 --regid=1000 --clear-groups)
for place in /var/tmp /dev/shm; do
  rounds=10
  [ $place = /var/tmp ] || rounds=1 # where numbers do not come back, each round waits for one
  reuse "kernel handles" $place $rounds koffi env
  reuse "kernel handles that may not be opened" $place $rounds koffi "${incapable[@]}"
  reuse "the same as a user" $place $rounds koffi "${user[@]}"
  reuse "node:fs" $place $rounds node env
  reuse "node:fs as a user" $place $rounds node "${user[@]}"
done
