# The server is ended by SIGKILL, time and again. What was synced is there, what is open stays open, and a call whose reply
# was lost and that was made twice does no more harm than its second answer: EEXIST or ENOENT, which is counted.
# needs: restart disk
# seconds: 500
. guest/lib.sh
mkdir "$MNT"/{names,data,kept}
python3 - <<'END' &
import errno, itertools, time
from expect import *

KINDS = "create", "mkdir", "symlink", "link", "mknod", "rename", "remove", "rmdir"

def exists(path):
    try:
        os.lstat(path)
        return True
    except FileNotFoundError:
        return False

def calm():
    return os.path.exists("/tmp/calm")

def change_names(seed):
    """Every name is used once: a call that fails with EEXIST or ENOENT was made already, and must have been made well."""
    os.chdir(f"{MNT}/names")
    spurious = dict.fromkeys(KINDS, 0)
    calls = 0

    def call(kind, function, *args, there=(), gone=()):
        nonlocal calls
        calls += 1
        try:
            function(*args)
        except FileExistsError:
            # the verifier of an exclusive create is there to tell the second call from another's
            assert kind in ("mkdir", "symlink", "link", "mknod"), f"{kind} of {args}: EEXIST"
            spurious[kind] += 1
        except FileNotFoundError:
            assert kind in ("rename", "remove", "rmdir"), f"{kind} of {args}: ENOENT"
            spurious[kind] += 1
        for name in there:
            assert exists(name), f"{name} is not there after {kind}"
        for name in gone:
            assert not exists(name), f"{name} is there after {kind}"

    def create(name):
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))

    for number in itertools.count():
        if calm():
            break
        at = f"{seed}-{number}"
        call("create", create, f"{at}-file", there=[f"{at}-file"])
        call("mkdir", os.mkdir, f"{at}-dir", there=[f"{at}-dir"])
        call("symlink", os.symlink, "target", f"{at}-symlink", there=[f"{at}-symlink"])
        call("link", os.link, f"{at}-file", f"{at}-link", there=[f"{at}-link"])
        call("mknod", os.mknod, f"{at}-fifo", 0o10644, there=[f"{at}-fifo"])
        call("rename", os.rename, f"{at}-file", f"{at}-dir/moved", there=[f"{at}-dir/moved"], gone=[f"{at}-file"])
        for name in f"{at}-dir/moved", f"{at}-symlink", f"{at}-fifo":
            call("remove", os.remove, name, gone=[name])
        call("rmdir", os.rmdir, f"{at}-dir", gone=[f"{at}-dir"])
        same(f"links of {at}-link", os.stat(f"{at}-link").st_nlink, 1)
    same(f"what {seed} has left", sorted(name for name in os.listdir(".") if name.startswith(f"{seed}-")),
         sorted(f"{seed}-{round}-link" for round in range(number)))
    write(f"{calls} {sum(spurious.values())} {' '.join(f'{kind}:{spurious[kind]}' for kind in KINDS)}".encode(), f"/tmp/calls{seed}")

def line(seed, number):
    return b"%d %08d %s\n" % (seed, number, b"d" * (number * 37 % 3000))

def commit_data(seed):
    """Appends lines, some of them synced, and knows how much must be on the disk."""
    wanted = b""
    with open(f"{MNT}/data/{seed}", "wb", buffering=0) as file:
        for number in itertools.count():
            wanted += line(seed, number)
            same("written", file.write(line(seed, number)), len(line(seed, number)))
            if number % 5 == 0:
                os.fsync(file.fileno())
            if number % 20 == 0:
                write(b"%d\n" % len(wanted), f"/tmp/synced{seed}.new")
                os.rename(f"/tmp/synced{seed}.new", f"/tmp/synced{seed}")
            if calm():
                break
            time.sleep(0.01)
    assert read(PEER, "data", str(seed)) == wanted, f"the data of {seed} is not what was written"
    write(b"%d" % len(wanted), f"/tmp/written{seed}")

finish(*(start(change_names, seed) for seed in range(6)), *(start(commit_data, seed) for seed in range(6, 8)))
results = [read(f"/tmp/calls{seed}").decode().split() for seed in range(6)]
calls, spurious = (sum(int(result[column]) for result in results) for column in (0, 1))
each = {kind: sum(int(dict(it.split(":") for it in result[2:])[kind]) for result in results) for kind in KINDS}
written = sum(int(read(f"/tmp/written{seed}")) for seed in (6, 7))
with open("/tmp/notes", "a") as notes:
    notes.write(f"5 kills, {calls} changes of names, {spurious} of them with a spurious EEXIST or ENOENT ({', '.join(f'{kind} {count}' for kind, count in each.items() if count) or 'none'}); {written} bytes written\n")
END
working=$!

# Open files, and a directory that somebody is in, keep what they are: moved, moved with what they are in, removed.
python3 - <<'END' &
import time
from expect import *

os.chdir(f"{MNT}/kept")
os.makedirs("a/b/c")
for name in "a/b/c/file", "a/plain", "a/removed", "replaced", "replacing":
    write(name.encode() * 1000, name)
files = {name: open(name, "r+b", buffering=0) for name in ("a/b/c/file", "a/plain", "a/removed", "replaced")}
os.rename("a/b/c/file", "a/moved")
os.rename("a/b", "elsewhere")
os.rename("a", "z")
os.remove("z/removed")
os.rename("replacing", "replaced")
os.chdir("elsewhere/c")
write(b"", "/tmp/kept-ready")
kills = 0
while kills < 5:
    while not os.path.exists(f"/tmp/killed{kills + 1}"):
        time.sleep(0.1)
    kills += 1
    for name, file in files.items():
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        wanted = name.encode() * 1000 + b"".join(b" %d" % number for number in range(1, kills))
        same(f"content of {name} after kill {kills}", os.pread(file.fileno(), 100_000, 0) == wanted, True)
        os.pwrite(file.fileno(), b" %d" % kills, len(wanted))
        os.fsync(file.fileno())
    # by the name that it has for who is in it
    write(b"%d" % kills, "inside")
    same("a file beside us", read(PEER, "kept/elsewhere/c/inside"), b"%d" % kills)
    same("names beside us", os.listdir("."), ["inside"])
same("the moved file", read(PEER, "kept/z/moved").endswith(b"file 1 2 3 4 5"), True)
same("the file that replaced another", read(PEER, "kept/replaced"), b"replacing" * 1000)
for file in files.values():
    file.close()
END
keeping=$!

while [ ! -e /tmp/kept-ready ]; do sleep 0.2; done
for number in {1..5}; do
  sleep 3
  synced=$(cat /tmp/synced{6,7})
  host kill-server
  host sizes data >/tmp/sizes
  echo "$synced" | paste -d ' ' - /tmp/sizes | awk '$1 > $2 { print $1, "bytes were synced,", $2, "are on the disk"; exit 1 }'
  [ "$(jobs -pr | wc -l)" = 2 ] || fail "what was at work has ended with kill $number"
  touch /tmp/killed$number
done
wait $keeping
touch /tmp/calm
wait $working
excuse_strays
