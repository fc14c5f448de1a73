# After an unmount and a mount everything is there, under the same numbers.
. guest/lib.sh
mkdir "$MNT/dir"
seq 100000 >"$MNT/dir/numbers"
cp -a /usr/include/linux/netfilter "$MNT/dir/"
ln -s numbers "$MNT/dir/link"
mkfifo "$MNT/dir/pipe"
head -c 3M /dev/urandom >"$MNT/dir/unsynced" # what the client still holds has to go out with the unmount

describe() {
  (cd "$1" && find . -printf '%p %i %y %m %U %G %T@ %C@ %n %l\n' | sort && find . -type f -print0 | sort -z | xargs -0 cat | sha1sum)
}
wanted=$(describe "$MNT")
unmount_nfs "$PEER_MOUNT"
unmount_nfs "$MOUNT"
[ ! -e "$MNT" ] || fail "still there without a mount"
mount_nfs "$MOUNT"
mount_peer
diff <(echo "$wanted") <(describe "$MNT")
diff <(echo "$wanted") <(describe "$PEER")
