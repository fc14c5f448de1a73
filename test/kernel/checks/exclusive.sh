# Many processes, on two clients, try to make the same name: one succeeds and the others are told that it exists.
. guest/lib.sh
python3 - <<'END'
import time
from expect import *

RACERS, ROUNDS = 8, 30

def create(name):
    os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))

def symlink(name):
    os.symlink(str(os.getpid()), name)

def link(name):
    os.link(os.path.join(os.path.dirname(name), f"source{os.getpid()}"), name)

def race(place, begin):
    """Writes down every name that was made here."""
    write(b"", place, f"source{os.getpid()}")
    won = []
    while not os.path.exists(begin):
        time.sleep(0.01)
    for number in range(ROUNDS):
        for make in create, os.mkdir, symlink, link:
            try:
                make(f"{place}/{make.__name__}{number}")
                won.append(f"{make.__name__}{number}\n")
            except FileExistsError:
                pass
    write("".join(won).encode(), f"/tmp/won{os.getpid()}")

racers = [start(race, (MNT, PEER)[number % 2], "/tmp/begin") for number in range(RACERS)]
time.sleep(0.5)
write(b"", "/tmp/begin")
finish(*racers)
won = [name for pid in racers for name in read(f"/tmp/won{pid}").decode().split()]
wanted = [f"{kind}{number}" for kind in ("create", "mkdir", "symlink", "link") for number in range(ROUNDS)]
same("names that were made", sorted(won), sorted(wanted))
winners = sum(1 for pid in racers if read(f"/tmp/won{pid}"))
assert winners > 1, "one process won every time, so there was no race"

# an exclusive create may keep its verifier in the times; nothing of that is to be seen afterwards
for number in range(ROUNDS):
    attributes = os.stat(f"{PEER}/create{number}")
    same("mode and size", (oct(attributes.st_mode), attributes.st_size), ("0o100600", 0))
    for when in attributes.st_atime, attributes.st_mtime:
        assert abs(when - time.time()) < 600, f"time of create{number}: {when}"
END
