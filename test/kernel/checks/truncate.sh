# Files cut and extended, at and beside page boundaries: what is cut off is gone, what is added is zero.
. guest/lib.sh
python3 - <<'END'
from expect import *

data = bytes(range(1, 252)) * 1200
name = os.path.join(MNT, "file")

def check(what, wanted):
    same(f"size, {what}", os.stat(f"{PEER}/file").st_size, len(wanted))
    for place in MNT, PEER:
        got = read(place, "file")
        if got != wanted:
            at = next((i for i, (a, b) in enumerate(zip(got, wanted)) if a != b), min(len(got), len(wanted)))
            raise AssertionError(f"content in {place}, {what}: {len(got)} bytes, the first wrong one at {at}")

for low in 0, 1, 511, 4095, 4096, 4097, 65535, 65536, 100000:
    for high in low + 1, low + 5000, 300000:
        write(data, name)
        os.truncate(name, low)
        check(f"cut to {low}", data[:low])
        os.truncate(name, high)
        check(f"cut to {low}, extended to {high}", data[:low] + bytes(high - low))

# with data that has not left the client yet
with open(name, "w+b", buffering=0) as file:
    file.write(data)
    os.ftruncate(file.fileno(), 70001)
    os.ftruncate(file.fileno(), 90001)
    file.seek(80001)
    file.write(b"behind")
    file.seek(0)
    wanted = data[:70001] + bytes(10000) + b"behind" + bytes(90001 - 80007)
    same("what its writer reads", file.read() == wanted, True)
check("cut while it was written", wanted)

# a write behind the end leaves a hole
os.truncate(name, 10)
with open(name, "r+b") as file:
    file.seek(20000)
    file.write(b"end")
check("written behind the end", data[:10] + bytes(19990) + b"end")

os.utime(name, ns=(10**18, 10**18))
os.close(os.open(name, os.O_WRONLY | os.O_TRUNC))
check("opened with O_TRUNC", b"")
assert os.stat(f"{PEER}/file").st_mtime_ns > 10**18, "mtime did not change"
END
