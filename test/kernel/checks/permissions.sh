# What users who are not root may do, and what not.
. guest/lib.sh
python3 - <<'END'
import errno
from expect import *

os.chdir(MNT)
os.umask(0o022)
os.chmod(".", 0o755)

def make(name, content, mode, uid=0, gid=0):
    write(content, name)
    os.chown(name, uid, gid)
    os.chmod(name, mode)

def folder(name, mode, uid=0, gid=0):
    os.mkdir(name)
    os.chown(name, uid, gid)
    os.chmod(name, mode)

def open_for(flags, name):
    os.close(os.open(name, flags))

# files: nobody's, everybody's, the owner's, the group's
make("nobody", b"closed", 0o000, 1000, 1000)
make("readable", b"open", 0o444)
make("mine", b"mine", 0o600, 1000, 1000)
make("group", b"ours", 0o640, 0, 2000)
make("others-not", b"others", 0o604, 0, 2000)  # the group's bits decide for the group, even when others may more

def files():
    refused(errno.EACCES, read, "nobody")
    refused(errno.EACCES, open_for, os.O_WRONLY, "nobody")
    refused(errno.EACCES, os.truncate, "nobody", 0)
    same("readable", read("readable"), b"open")
    refused(errno.EACCES, open_for, os.O_RDWR, "readable")
    refused(errno.EACCES, os.execv, "readable", ["readable"])
    same("access", [os.access("readable", right) for right in (os.R_OK, os.W_OK, os.X_OK)], [True, False, False])
    same("mine", read("mine"), b"mine")
    write(b"changed", "mine")
    refused(errno.EACCES, read, "group")
    refused(errno.EPERM, os.chmod, "readable", 0o777)
    refused(errno.EPERM, os.chown, "readable", 1000, 1000)
    refused(errno.EPERM, os.chown, "mine", 0, -1)
    refused(errno.EPERM, os.utime, "readable", ns=(1, 1))
    refused(errno.EACCES, os.utime, "readable")
    os.chmod("mine", 0o400)
    refused(errno.EACCES, open_for, os.O_WRONLY, "mine")
    os.chmod("nobody", 0o400)
    same("nobody, after chmod by its owner", read("nobody"), b"closed")

def group():
    same("group", read("group"), b"ours")
    refused(errno.EACCES, open_for, os.O_WRONLY, "group")
    refused(errno.EACCES, read, "others-not")

as_user(1000, files)
same("mine, as root sees it", read(PEER, "mine"), b"changed")
as_user(1000, group, groups=[2000])
as_user(1000, group, groups=list(range(3000, 3015)) + [2000])  # the 16th, the last that the protocol has room for
same("others-not, by another", as_user(1001, read, "others-not"), None)
same("nobody, as root", read("nobody"), b"closed")

# directories: what r, w and x are for
folder("look", 0o755)
make("look/file", b"x", 0o644)
folder("pass", 0o711)
make("pass/file", b"passed", 0o644)
folder("list", 0o744)
make("list/file", b"x", 0o644)
folder("theirs", 0o700, 1001)

def folders():
    same("look", os.listdir("look"), ["file"])
    refused(errno.EACCES, write, b"", "look/new")
    refused(errno.EACCES, os.mkdir, "look/new")
    refused(errno.EACCES, os.symlink, "x", "look/new")
    refused(errno.EACCES, os.link, "mine", "look/new")
    refused(errno.EACCES, os.remove, "look/file")
    refused(errno.EACCES, os.rename, "look/file", "look/new")
    refused(errno.EACCES, os.rename, "mine", "look/file")
    refused(errno.EACCES, os.listdir, "pass")
    same("pass", read("pass/file"), b"passed")
    same("list", os.listdir("list"), ["file"])
    refused(errno.EACCES, os.stat, "list/file")
    refused(errno.EACCES, os.listdir, "theirs")
    refused(errno.EACCES, os.stat, "theirs/anything")

as_user(1000, folders)
same("look is as it was", os.listdir(f"{PEER}/look"), ["file"])

# a file may be made read-only and written by the one who makes it, as git does; another cannot
folder("open", 0o777)

def read_only():
    file = os.open("open/object", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o444)
    same("written", os.write(file, b"object"), 6)
    os.fsync(file)
    same("read", os.pread(file, 6, 0), b"object")
    os.close(file)
    refused(errno.EACCES, open_for, os.O_WRONLY, "open/object")

as_user(1000, read_only)
same("a file that was made read-only", read(PEER, "open/object"), b"object")

# sticky: everybody may make files, and remove only his own
folder("sticky", 0o1777)
for name in "file", "target":
    make(f"sticky/{name}", b"x", 0o666, 1001, 1001)
folder("sticky/dir", 0o777, 1001, 1001)

def sticky():
    write(b"mine", "sticky/mine")
    for name in "file", "target":
        refused(errno.EPERM, os.remove, f"sticky/{name}")
        refused(errno.EPERM, os.rename, f"sticky/{name}", "sticky/stolen")
        refused(errno.EPERM, os.rename, "sticky/mine", f"sticky/{name}")
    refused(errno.EPERM, os.rmdir, "sticky/dir")
    write(b"written", "sticky/file")  # the file's own mode allows it
    os.rename("sticky/mine", "sticky/still-mine")
    os.remove("sticky/still-mine")

as_user(1000, sticky)
same("what is in the sticky directory", sorted(os.listdir(f"{PEER}/sticky")), ["dir", "file", "target"])
same("the content of a file in it", read(PEER, "sticky/file"), b"written")
as_user(1001, os.remove, "sticky/file")
os.remove("sticky/target")

# The client refuses all that by itself when it knows the mode. Here it knows an old one, so that the server has to.
folder("late", 0o777)
for name in "file", "target":
    make(f"late/{name}", b"x", 0o666, 1001, 1001)
knows, sticks = os.pipe(), os.pipe()

def late():
    write(b"mine", "late/mine")
    same("before it is sticky", sorted(os.listdir("late")), ["file", "mine", "target"])
    os.write(knows[1], b".")
    os.read(sticks[0], 1)
    refused(errno.EPERM, os.remove, "late/file")
    refused(errno.EPERM, os.rename, "late/mine", "late/target")

pid = start(as_user, 1000, late)
os.read(knows[0], 1)
os.chmod(f"{PEER}/late", 0o1777)
os.write(sticks[1], b".")
finish(pid)
same("what is left in the sticky directory", sorted(os.listdir(f"{PEER}/late")), ["file", "mine", "target"])
END
