# What two users and root make by way of the mount is on the host's disk as they see it: owners, modes, times, names.
# needs: disk
. guest/lib.sh
python3 - <<'END'
import errno, socket
from expect import *

os.umask(0)
os.chmod(MNT, 0o755)
tree = os.path.join(MNT, "tree")
os.mkdir(tree, 0o777)
os.chdir(tree)
for name, mode, gid in ("shared", 0o2777, 3000), ("sticky", 0o1777, 0), ("both", 0o3777, 3000):
    os.mkdir(name)
    os.chown(name, 0, gid)
    os.chmod(name, mode)

def work(uid):
    for place in ".", "shared", "sticky", "both":
        name = f"{place}/{uid}"
        write(b"mine", f"{name}-file")
        os.mkdir(f"{name}-dir", 0o750)
        os.symlink(f"target of {uid}", f"{name}-symlink")
        os.mkfifo(f"{name}-fifo", 0o640)
        os.link(f"{name}-file", f"{name}-link")
        for number, mode in enumerate((0o4755, 0o2755, 0o6711, 0o400, 0o000, 0o777)):
            write(b"x" * number, f"{name}-mode{number}")
            os.chmod(f"{name}-mode{number}", mode)
            os.utime(f"{name}-mode{number}", ns=(10**18 + number, 1234567890123456789 + number))
    # a setgid bit is for members of the group only
    write(b"", f"shared/{uid}-setgid")
    os.chmod(f"shared/{uid}-setgid", 0o2770)
    refused(errno.EPERM, os.chown, f"{uid}-file", 1234, -1)
    refused(errno.EPERM, os.chown, f"{uid}-file", -1, 1234)
    os.chown(f"{uid}-file", -1, uid + 100)

as_user(1000, work, 1000, groups=[1100])
as_user(1001, work, 1001, groups=[1101])

def steal():
    for name in "sticky/1000-file", "both/1000-dir":
        refused(errno.EPERM, os.rename, name, f"{name}-stolen")
    refused(errno.EPERM, os.remove, "sticky/1000-file")
    refused(errno.EPERM, os.chmod, "1000-file", 0o777)
    os.remove("shared/1000-link")

as_user(1001, steal)
os.chown("1000-mode0", 1001, 1001)
os.mknod("device", 0o20600, os.makedev(11, 12345))
with socket.socket(socket.AF_UNIX) as server:
    server.bind("socket")
os.chdir(os.fsencode(tree))
write(b"", b"no UTF-8: \xff\x80\xed\xa0\x80")
write(b"", "\u00e9\U0001f600".encode())
os.truncate(b"1001-file", 2**20 + 5)

# what all of that has to have come to, so that the two sides are not merely wrong together
def owned(name):
    found = os.lstat(os.path.join(PEER, "tree", name))
    return found.st_uid, found.st_gid, oct(found.st_mode & 0o7777)

for name, wanted in {
    "1000-file": (1000, 1100, "0o666"),
    "shared/1001-file": (1001, 3000, "0o666"),
    "shared/1001-dir": (1001, 3000, "0o2750"),
    "shared/1001-setgid": (1001, 3000, "0o770"),
    "both/1000-symlink": (1000, 3000, "0o777"),
    "sticky/1000-mode2": (1000, 1000, "0o6711"),
    "1000-mode0": (1001, 1001, "0o755"),
}.items():
    same(f"owner and mode of {name}", owned(name), wanted)
END
sync
for command in find ls data; do same_on_disk $command tree "$MNT" "$PEER"; done
