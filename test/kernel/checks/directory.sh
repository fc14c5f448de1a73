# A directory of 5,000 files, listed while others come and go: what stays is listed once, no more and no less.
# seconds: 400
. guest/lib.sh
python3 - <<'END'
import itertools, random, time
from expect import *

COUNT = 5000
os.chdir(MNT)
os.mkdir("dir")
stable = {f"stable-{number}-{'x' * (number % 40)}" for number in range(COUNT)}
for name in stable:
    os.mknod(f"dir/{name}", 0o100644)

def churn(place, seed):
    """Makes and removes files whose names fall everywhere between the others, until it is told to stop."""
    choose = random.Random(seed)
    os.chdir(f"{place}/dir")
    names = []
    for number in itertools.count():
        names.append(f"{choose.choice('astz')}{choose.random()}-{seed}")
        os.mknod(names[-1], 0o100644)
        if number > 30:
            os.remove(names.pop(choose.randrange(len(names))))
        if os.path.exists("/tmp/stop"):
            return
        time.sleep(0.003)  # each change has the clients read anew, and they must get to an end

def listings(place, times):
    for _ in range(times):
        with os.scandir(f"{place}/dir") as entries:
            names = [entry.name for entry in entries]
        listed = [name for name in names if name in stable]
        missing = stable.difference(listed)
        assert not missing, f"{len(missing)} not listed in {place}, {min(missing)} among them"
        same(f"stable names listed in {place}", len(listed), COUNT)
        same(f"other names listed twice in {place}", len(names) - len(set(names)), 0)

listings(MNT, 1)
churning = [start(churn, MNT, 1), start(churn, PEER, 2)]
finish(start(listings, MNT, 2), start(listings, PEER, 2))
write(b"", "/tmp/stop")  # not by a signal: the reply to a call that was interrupted answers nothing, see unmount_nfs
finish(*churning)

# a listing gives the same numbers as the files themselves
with os.scandir(f"{PEER}/dir") as entries:
    for entry in itertools.islice(entries, 0, None, 50):
        same(f"inode of {entry.name}", entry.inode(), os.lstat(f"dir/{entry.name}").st_ino)

# removed while it is listed, everything is found in one pass
with os.scandir("dir") as entries:
    for entry in entries:
        os.remove(f"dir/{entry.name}")
same("left", (os.listdir("dir"), os.listdir(f"{PEER}/dir")), ([], []))
os.rmdir("dir")
END
