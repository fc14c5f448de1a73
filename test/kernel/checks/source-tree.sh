# A tree of sources, put there by the host: ls -laR, du, find, tar and its data say the same on the mount as on the disk.
# needs: disk
# seconds: 400
. guest/lib.sh
host copy-source tree
for command in ls du find tar data; do same_on_disk $command tree "$MNT"; done
count=$(find "$MNT/tree" | wc -l)
[ "$count" -gt 200 ] || fail "only $count files: too small a tree to mean something"
note "$count files"
host remove tree
