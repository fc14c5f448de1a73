# Hard links are one file under several names; symbolic links say exactly what they were told.
. guest/lib.sh
python3 - <<'END'
import errno
from expect import *

os.chdir(MNT)
os.makedirs("a/b")
write(b"shared", "a/file")
inode = os.stat("a/file").st_ino
for number in range(20):
    os.link("a/file", f"a/b/link{number}")
for name in "a/file", "a/b/link0", "a/b/link19":
    for place in MNT, PEER:
        attributes = os.stat(os.path.join(place, name))
        same(f"inode and link count of {place}/{name}", (attributes.st_ino, attributes.st_nlink), (inode, 21))
with open("a/b/link7", "ab") as file:
    file.write(b" by all")
same("what was written by another name", read(PEER, "a/file"), b"shared by all")
os.chmod("a/b/link3", 0o640)
same("mode that was set by another name", os.stat(f"{PEER}/a/file").st_mode & 0o7777, 0o640)
os.rename("a/b/link1", "a/b/link2")  # two names of one file: POSIX wants nothing to happen
same("names after renaming one to the other", sorted(os.listdir(f"{PEER}/a/b"))[:4], ["link0", "link1", "link10", "link11"])
os.remove("a/file")
for number in range(1, 20):
    os.remove(f"a/b/link{number}")
same("link count of the last name", os.stat(f"{PEER}/a/b/link0").st_nlink, 1)
same("content under the last name", read(PEER, "a/b/link0"), b"shared by all")
refused(errno.EEXIST, os.link, "a/b/link0", "a/b")
refused(errno.EPERM, os.link, "a/b", "a/c")
same("links of a directory with one below", os.stat(f"{PEER}/a").st_nlink, 3)

write(b"target", "target")
targets = {
    "relative": b"target",
    "up": b"../links/target",
    "absolute": os.fsencode(MNT) + b"/target",
    "dangling": b"no/such/file",
    "long": b"./" * 500 + b"target",
    "bytes": b"\xff\x80 \n\xf0\x9f\x98\x80",
    "loop": b"loop",
}
for name, target in targets.items():
    os.symlink(target, os.fsencode(name))
for place in MNT, PEER:
    for name, target in targets.items():
        path = os.path.join(place, name)
        same(f"target of {path}", os.readlink(os.fsencode(path)), target)
        same(f"size of {path}", os.lstat(path).st_size, len(target))
    for name in "relative", "up", "absolute", "long":
        same(f"read through {place}/{name}", read(place, name), b"target")
    refused(errno.ENOENT, read, place, "dangling")
    refused(errno.ELOOP, read, place, "loop")
os.chown("dangling", 1234, 4321, follow_symlinks=False)
os.utime("dangling", ns=(10**18, 1234567890123456789), follow_symlinks=False)
attributes = os.lstat(f"{PEER}/dangling")
same("owner of a link", (attributes.st_uid, attributes.st_gid), (1234, 4321))
same("time of a link", attributes.st_mtime_ns, 1234567890123456789)
refused(errno.EEXIST, os.symlink, "other", "dangling")
os.remove("relative")
same("the target of a removed link", read(PEER, "target"), b"target")
END
