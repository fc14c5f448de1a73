# Modes, owners and times: what was set is what the server has, to the last nanosecond.
. guest/lib.sh
python3 - <<'END'
import errno, time
from expect import *

os.chdir(MNT)
os.umask(0)

def peer(name):
    return os.lstat(os.path.join(PEER, name))

write(b"x", "file")
os.mkdir("dir")
for name, kind in ("file", 0o100000), ("dir", 0o040000):
    for mode in 0, 0o777, 0o640, 0o111, 0o1755, 0o2755, 0o4755, 0o7777, 0o644:
        os.chmod(name, mode)
        same(f"mode of {name}", oct(peer(name).st_mode), oct(kind | mode))
    for uid, gid in (1000, 2000), (0, 0), (4294967294, 4294967294), (65534, 65534), (0, 5):
        os.chown(name, uid, gid)
        same(f"owner of {name}", (peer(name).st_uid, peer(name).st_gid), (uid, gid))
    os.chown(name, 77, -1)
    same(f"owner of {name}, group left alone", (peer(name).st_uid, peer(name).st_gid), (77, 5))
    # the protocol has 32 bits for seconds, without a sign; to the first and the last the client gives no nanoseconds
    for atime, mtime in (
        (0, 10**9 + 1),
        (987654321 * 10**9 + 10**6, 1234567890123456789),
        (2**31 * 10**9 + 1, (2**32 - 2) * 10**9 + 999999999),
        (10**18, (2**32 - 1) * 10**9),
    ):
        os.utime(name, ns=(atime, mtime))
        same(f"times of {name}", (peer(name).st_atime_ns, peer(name).st_mtime_ns), (atime, mtime))
    before = time.time() - 60
    os.utime(name)
    assert before < peer(name).st_mtime < time.time() + 60, f"time of {name}: {peer(name).st_mtime}"

# a change of attributes shows in ctime and leaves the rest alone
os.utime("file", ns=(10**18, 10**18))
was = peer("file")
time.sleep(0.02)
os.chmod("file", 0o600)
now = peer("file")
assert now.st_ctime_ns > was.st_ctime_ns, "chmod did not change ctime"
same("the rest", (now.st_mtime_ns, now.st_atime_ns, now.st_size, now.st_ino), (10**18, 10**18, 1, was.st_ino))

# every change in a directory shows in its times
def changes(what, function, *args):
    was = peer("dir")
    time.sleep(0.02)
    function(*args)
    now = peer("dir")
    assert now.st_mtime_ns > was.st_mtime_ns and now.st_ctime_ns > was.st_ctime_ns, f"{what} left the directory's times"

changes("create", write, b"", "dir/file")
changes("mkdir", os.mkdir, "dir/dir")
changes("symlink", os.symlink, "x", "dir/symlink")
changes("link", os.link, "dir/file", "dir/link")
changes("mkfifo", os.mkfifo, "dir/fifo")
changes("rename", os.rename, "dir/link", "dir/renamed")
changes("remove", os.remove, "dir/renamed")
changes("rmdir", os.rmdir, "dir/dir")

# modes of new files, and the group that a setgid directory hands down
for mode in 0o777, 0o640, 0o400:
    os.close(os.open(f"new{mode}", os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
    same("mode of a new file", oct(peer(f"new{mode}").st_mode & 0o7777), oct(mode))
os.mkdir("shared")
os.chown("shared", 0, 3000)
os.chmod("shared", 0o2777)

def in_shared():
    write(b"", "shared/file")
    os.mkdir("shared/dir")

as_user(1000, in_shared)
same("owner of a file in a setgid directory", (peer("shared/file").st_uid, peer("shared/file").st_gid), (1000, 3000))
same("group of a directory in it", (peer("shared/dir").st_gid, oct(peer("shared/dir").st_mode & 0o2000)), (3000, "0o2000"))

# setuid and setgid do not outlive a change by somebody else
def append(name):
    with open(name, "ab") as file:
        file.write(b"more")

write(b"x", "setuid")
os.chmod("setuid", 0o6777)
as_user(1000, append, "setuid")
same("mode after another user's write", oct(peer("setuid").st_mode & 0o7777), "0o777")
os.chmod("setuid", 0o6777)
os.chown("setuid", 1000, 1000)
same("mode after chown", oct(peer("setuid").st_mode & 0o7777), "0o777")
END

# the same by way of the commands
cd "$MNT"
touch -d '2001-02-03 04:05:06.123456789 UTC' file
same "time by touch" "$(stat -c %.9Y "$PEER/file")" 981173106.123456789
touch -a -d '2033-01-01 00:00:00.000000001 UTC' file
same "atime by touch, mtime left alone" "$(stat -c '%.9X %.9Y' "$PEER/file")" "1988150400.000000001 981173106.123456789"
