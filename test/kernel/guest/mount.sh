# Mounts, and makes sure that the kernel agreed to what was asked for.
. guest/lib.sh
echo 0 >/run/excused
mount_nfs "$MOUNT"
mount_peer
options=$(findmnt -n -o OPTIONS "$MOUNT")
echo "$options"
for option in vers=3 proto=tcp "port=$NFS_PORT" hard; do
  [[ ,$options, == *",$option,"* ]] || fail "mounted without $option"
done
[ "$(stat -c %d "$MOUNT")" != "$(stat -c %d "$PEER_MOUNT")" ] || fail "the two mounts share their caches"
