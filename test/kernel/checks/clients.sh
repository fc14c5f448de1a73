# Two clients: what one has closed, the other sees when it opens.
. guest/lib.sh
python3 - <<'END'
import errno
from expect import *

# the same length each time, and quickly: only the times tell that something has changed
for number in range(100):
    here, there = (MNT, PEER) if number % 2 else (PEER, MNT)
    write(b"%04d" % number, here, "file")
    same("after writing", read(there, "file"), b"%04d" % number)

for number in range(30):
    write(b"%04d" % number, MNT, "new")
    os.rename(f"{MNT}/new", f"{MNT}/replaced")
    same("after replacing", read(PEER, "replaced"), b"%04d" % number)
    same("inode", os.stat(f"{PEER}/replaced").st_ino, os.stat(f"{MNT}/replaced").st_ino)

for number in range(30):
    name = f"name{number}"
    refused(errno.ENOENT, os.stat, f"{PEER}/{name}")
    os.mkdir(f"{MNT}/{name}")
    same("listing", name in os.listdir(PEER), True)
    os.rmdir(f"{PEER}/{name}")
    refused(errno.ENOENT, os.listdir, f"{MNT}/{name}")
    same("listing after removal", name in os.listdir(PEER), False)

# both write to one file, side by side; whole pages, because no client merges the page of another
size = 50 * 4096
write(bytes(2 * size), MNT, "halves")

def half(place, offset, byte):
    file = os.open(f"{place}/halves", os.O_WRONLY)
    for at in range(offset, offset + size, 4096):
        os.pwrite(file, byte * 4096, at)
    os.close(file)

finish(start(half, MNT, 0, b"a"), start(half, PEER, size, b"b"))
END
# Linux takes the times in the reply to a WRITE for its own doing, and may go on with what it had of the other half: asked is
# what the server has.
drop_caches
python3 - <<'END'
from itertools import groupby
from expect import *

def pages(data):
    return [(first, len(list(same))) for first, same in groupby(data[at : at + 1] for at in range(0, len(data), 4096))]

for place in MNT, PEER:
    same(f"both halves in {place}", pages(read(place, "halves")), [(b"a", 50), (b"b", 50)])
END
