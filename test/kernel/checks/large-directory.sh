# A directory of 100,000 files, made by the host, listed while another client makes and removes files in it: what stays is
# listed once, no more and no less.
# needs: disk
# seconds: 500
. guest/lib.sh
mkdir "$MNT/dir"
same "before" "$(ls -A "$PEER/dir")" ""
host fill dir 100000
python3 - <<'END'
import itertools, random, time
from expect import *

COUNT = 100_000
stable = {f"stable-{number}-{'x' * (number % 40)}" for number in range(COUNT)}

def churn(seed):
    """Makes and removes files whose names fall everywhere between the others, until it is told to stop."""
    choose = random.Random(seed)
    os.chdir(f"{PEER}/dir")
    names = []
    for number in itertools.count():
        names.append(f"{choose.choice('astz')}{choose.random()}-{seed}")
        os.mknod(names[-1], 0o100644)
        if number > 30:
            os.remove(names.pop(choose.randrange(len(names))))
        if os.path.exists("/tmp/stop"):
            write(b"%d" % number, f"/tmp/churned{seed}")
            return
        time.sleep(0.003)

def listing(place):
    begin = time.time()
    with os.scandir(f"{place}/dir") as entries:
        names = [entry.name for entry in entries]
    listed = [name for name in names if name in stable]
    missing = stable.difference(listed)
    assert not missing, f"{len(missing)} not listed in {place}, {min(missing)} among them"
    same(f"stable names listed in {place}", len(listed), COUNT)
    same(f"other names listed twice in {place}", len(names) - len(set(names)), 0)
    return time.time() - begin

calm = listing(PEER)
churning = [start(churn, seed) for seed in (1, 2)]
stormy = listing(MNT)
write(b"", "/tmp/stop")  # not by a signal: the reply to a call that was interrupted answers nothing, see unmount_nfs
finish(*churning)
changes = sum(2 * int(read(f"/tmp/churned{seed}")) for seed in (1, 2))
with open("/tmp/notes", "a") as notes:
    notes.write(f"listed in {calm:.1f} s, during {changes} changes in {stormy:.1f} s\n")
assert changes > 100, f"only {changes} changes during the listing"
END
host remove dir
