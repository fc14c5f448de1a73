# Renames, of files and directories, onto nothing and onto each other.
. guest/lib.sh
python3 - <<'END'
import errno, time
from expect import *

os.chdir(MNT)

# over a file
write(b"new", "new")
write(b"old", "old")
inode = os.stat("new").st_ino
os.rename("new", "old")
for place in MNT, PEER:
    same("content", read(place, "old"), b"new")
    same("inode", os.stat(f"{place}/old").st_ino, inode)
    same("names", os.listdir(place), ["old"])

# over a file that is open: whoever has it open keeps it
write(b"newer", "new")
with open("old", "r+b") as kept:
    os.rename("new", "old")
    same("new content", read(PEER, "old"), b"newer")
    same("content of the open file", kept.read(), b"new")
    kept.write(b", still")
    kept.flush()
    kept.seek(0)
    same("content of the open file after writing", kept.read(), b"new, still")
for _ in range(50):  # the close asks for the removal of the replaced file and does not wait for it
    if len(os.listdir(PEER)) == 1:
        break
    time.sleep(0.1)
same("names after closing", os.listdir(PEER), ["old"])

# a file and its directories move while it is open
os.makedirs("a/b/c")
with open("a/b/c/file", "wb") as file:
    file.write(b"before ")
    file.flush()
    os.rename("a/b/c/file", "a/moved")
    os.rename("a", "z")
    file.write(b"after")
same("content after moving", read(PEER, "z/moved"), b"before after")
refused(errno.ENOENT, os.stat, f"{PEER}/a")
same("names", sorted(os.listdir(f"{PEER}/z")), ["b", "moved"])

# directories: to another parent, over an empty one, and what must not be
os.mkdir("other")
inode = os.stat("z/b").st_ino
os.rename("z/b", "other/b")
same("inode of a moved directory", os.stat(f"{PEER}/other/b").st_ino, inode)
same("parent of a moved directory", os.stat(f"{PEER}/other/b/..").st_ino, os.stat("other").st_ino)
same("link counts of its parents", [os.stat(f"{PEER}/{name}").st_nlink for name in ("z", "other")], [2, 3])
os.mkdir("empty")
os.rename("other/b", "empty")
same("content of a directory moved over an empty one", os.listdir(f"{PEER}/empty"), ["c"])
refused(errno.EINVAL, os.rename, "empty", "empty/c/below")
refused(errno.ENOTEMPTY, os.rename, "other", "empty")
refused(errno.ENOTEMPTY, os.rename, "empty/c", f"{MNT}")
refused(errno.ENOTEMPTY, os.rmdir, "empty")
refused(errno.EISDIR, os.rename, "old", "other")
refused(errno.ENOTDIR, os.rename, "other", "old")
refused(errno.ENOENT, os.rename, "missing", "anything")
same("names after what was refused", sorted(os.listdir(PEER)), ["empty", "old", "other", "z"])
same("content after what was refused", read(PEER, "old"), b"newer")

# Into its own subdirectory: the client sees that by itself, unless the other one has just moved them.
os.makedirs("up")
os.makedirs("down")
same("before", sorted(os.listdir(MNT)), ["down", "empty", "old", "other", "up", "z"])
for name in "up", "down":
    os.stat(name)
os.rename(f"{PEER}/down", f"{PEER}/up/down")
refused(errno.EINVAL, os.rename, "up", "down/up")
same("after", (sorted(os.listdir(PEER)), os.listdir(f"{PEER}/up")), (["empty", "old", "other", "up", "z"], ["down"]))

# both directories' times say that something has changed
before = [os.stat(name) for name in ("z", "other")]
time.sleep(0.02)
os.rename("z/moved", "other/moved")
for was, name in zip(before, ("z", "other")):
    now = os.stat(f"{PEER}/{name}")
    assert now.st_mtime_ns > was.st_mtime_ns, f"mtime of {name} did not change"
    assert now.st_ctime_ns > was.st_ctime_ns, f"ctime of {name} did not change"
END
