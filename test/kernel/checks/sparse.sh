# A file of 5 GiB that holds next to nothing: offsets beyond 32 bits, holes that read as zeros and take no space.
. guest/lib.sh
python3 - <<'END'
from expect import *

SIZE = 5 * 2**30
name = os.path.join(MNT, "sparse")
write(b"", name)
os.truncate(name, SIZE)
same("size", os.stat(name).st_size, SIZE)
file = os.open(name, os.O_RDWR)
parts = {2**32 - 3: b"across 4 GiB", SIZE - 7: b"the end", SIZE // 2: b"middle"}
for offset, data in parts.items():
    same("written", os.pwrite(file, data, offset), len(data))
os.close(file)

peer = os.path.join(PEER, "sparse")
attributes = os.stat(peer)
same("size after writing", attributes.st_size, SIZE)
assert attributes.st_blocks * 512 <= 2**20, f"it takes {attributes.st_blocks * 512} bytes"
file = os.open(peer, os.O_RDONLY)
for offset, data in parts.items():
    around = os.pread(file, len(data) + 100_000, offset - 50_000)
    after = min(50_000, SIZE - offset - len(data))
    same(f"around {offset}", around, bytes(50_000) + data + bytes(after))
same("a hole", os.pread(file, 2**20, 3 * 2**30), bytes(2**20))
same("behind the end", os.pread(file, 10, SIZE), b"")
os.close(file)
END
du=$(du -k "$MNT/sparse" | cut -f 1)
[ "$du" -le 1024 ] || fail "du says $du KiB"
same "the end" "$(tail -c 7 "$PEER/sparse")" "the end"
