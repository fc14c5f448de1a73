# Files written and read through memory.
. guest/lib.sh
python3 - <<'END'
import mmap
from expect import *

SIZE = 1_000_003
name = os.path.join(MNT, "file")
write(bytes(SIZE), name)
with open(name, "r+b") as file, mmap.mmap(file.fileno(), SIZE) as memory:
    wanted = bytearray(SIZE)
    for offset in range(0, SIZE - 10, 4099):
        memory[offset:offset + 7] = wanted[offset:offset + 7] = b"written"
    memory[-3:] = wanted[-3:] = b"end"
    memory.flush()
    same("what the peer reads after msync", read(PEER, "file") == wanted, True)

    # what is written with write() is seen in memory, and the other way round
    os.pwrite(file.fileno(), b"by write", 5000)
    wanted[5000:5008] = b"by write"
    same("memory after write()", memory[5000:5008], b"by write")
    memory[9000:9009] = wanted[9000:9009] = b"by memory"
    same("read() after memory", os.pread(file.fileno(), 9, 9000), b"by memory")
same("what the peer reads after close", read(PEER, "file") == wanted, True)

# memory of one's own never reaches the file
with open(name, "r+b") as file, mmap.mmap(file.fileno(), SIZE, flags=mmap.MAP_PRIVATE) as memory:
    memory[:7] = b"private"
    memory.flush()
same("what the peer reads after a private change", read(PEER, "file") == wanted, True)

# two processes share it
def child():
    with open(name, "r+b") as file, mmap.mmap(file.fileno(), SIZE) as memory:
        memory[20000:20005] = b"child"

with open(name, "r+b") as file, mmap.mmap(file.fileno(), SIZE) as memory:
    finish(start(child))
    same("memory after another process's change", memory[20000:20005], b"child")
END
