# A client that is told no port asks the portmapper for NFS and MOUNT, which answers over UDP and over TCP.
# needs: portmap
. guest/lib.sh
found=/tmp/found
mkdir "$found"
echo "the same file" >"$MNT/file"

# mount_found PROTOCOL-OF-MOUNT [MORE,OPTIONS]: with nosharecache, or it would be the first mount with its ports
mount_found() {
  mount -v -t nfs -o "vers=3,nolock,hard,nosharecache${2:+,$2}" 10.0.2.2:/ "$found"
  local options
  options=$(findmnt -n -o OPTIONS "$found")
  for option in vers=3 proto=tcp "mountport=$NFS_PORT" "mountproto=$1"; do
    [[ ,$options, == *",$option,"* ]] || fail "mounted without $option: $options"
  done
  same "a file there" "$(cat "$found/${MNT#"$MOUNT"/}/file")" "the same file"
  echo "from $1" >"$found/${MNT#"$MOUNT"/}/file-$1"
  umount "$found"
  same "what was written there" "$(cat "$MNT/file-$1")" "from $1"
}

mount_found udp
mount_found tcp tcp
mount_found tcp mountproto=tcp
mount_found udp tcp,mountproto=udp
