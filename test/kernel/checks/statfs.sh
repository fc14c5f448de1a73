# The sizes that df shows are real: not zero, and smaller after a write.
. guest/lib.sh
python3 - <<'END'
import time
from expect import *

SIZE = 64 * 2**20
was = os.statvfs(MNT)
for field in "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree", "f_favail", "f_bsize", "f_frsize":
    assert 0 < getattr(was, field) < 2**63, f"{field} is {getattr(was, field)}"
assert was.f_bavail <= was.f_bfree <= was.f_blocks, f"blocks: {was}"
assert was.f_favail <= was.f_ffree <= was.f_files, f"files: {was}"
same("the longest name", was.f_namemax, 255)

def free():
    now = os.statvfs(MNT)
    same("total", now.f_blocks * now.f_frsize, was.f_blocks * was.f_frsize)
    return now.f_bfree * now.f_frsize

# Three quarters, because the server may keep files on a disk that others use too.
before = free()
with open(f"{MNT}/file", "wb") as file:
    file.write(os.urandom(SIZE))
    os.fsync(file.fileno())
full = free()
assert before - full >= SIZE * 3 // 4, f"{before} bytes were free, and after writing {SIZE} still {full}"
os.remove(f"{MNT}/file")
for _ in range(100):  # a server may take its time to give back what was removed
    if free() - full >= SIZE * 3 // 4:
        break
    time.sleep(0.1)
assert free() - full >= SIZE * 3 // 4, f"{full} bytes were free, and after removing {SIZE} only {free()}"
END
df -P "$MNT" | awk -v mount="$MOUNT" 'NR == 2 && $2 > 0 && $4 > 0 && $6 == mount { ok = 1 } { print } END { exit !ok }'
df -P -i "$MNT" | awk 'NR == 2 && $2 > 0 && $4 > 0 { ok = 1 } { print } END { exit !ok }'
