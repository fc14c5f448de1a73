# 64 MiB written and read back, by the page cache and past it, and changed in the middle.
. guest/lib.sh
size=$((64 * 1024 * 1024))
head -c $size /dev/urandom >/tmp/data

dd if=/tmp/data of="$MNT/data" bs=1M conv=fsync status=none
same "size" "$(stat -c %s "$PEER/data")" $size
drop_caches
dd if="$MNT/data" bs=1M status=none | cmp /tmp/data -

# a part that begins and ends in the middle of pages
for file in /tmp/data "$MNT/data"; do
  head -c 3000001 /dev/zero | tr '\0' x | dd of="$file" bs=10007 seek=1009 conv=notrunc,fsync iflag=fullblock status=none
done
same "size after the change" "$(stat -c %s "$PEER/data")" $size
cmp /tmp/data "$PEER/data"

head -c 8M /tmp/data >/tmp/part
dd if=/tmp/part of="$MNT/direct" bs=256K oflag=direct status=none
cmp /tmp/part "$PEER/direct"
dd if="$PEER/direct" bs=192K iflag=direct status=none | cmp /tmp/part -
rm /tmp/data /tmp/part
