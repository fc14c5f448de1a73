# Two mounts that both cache, each for itself: what changes on one shows on the other, data at the next open and names when
# their time is up.
. guest/lib.sh
for one in here there; do
  mkdir "/tmp/$one"
  mount_nfs "/tmp/$one" nosharecache,actimeo=1
done
HERE=/tmp/here/$CHECK THERE=/tmp/there/$CHECK python3 - <<'END'
import errno, time
from expect import *

here, there = os.environ["HERE"], os.environ["THERE"]
assert os.stat(here).st_dev != os.stat(there).st_dev, "the two mounts share their caches"

def eventually(what, test, *args):
    """What is cached for a second is right after two, and the server has one to notice a change."""
    end = time.time() + 10
    while not test(*args):
        assert time.time() < end, f"{what} does not show"
        time.sleep(0.1)

def gone(path):
    try:
        os.lstat(path)
    except FileNotFoundError:
        return True
    return False

for number in range(40):
    writer, reader = (here, there) if number % 2 else (there, here)
    write(b"%04d" % number * 2000, writer, "file")
    same("at the next open", read(reader, "file"), b"%04d" % number * 2000)

for number in range(4):
    maker, watcher = (here, there) if number % 2 else (there, here)
    name = f"name{number}"
    refused(errno.ENOENT, os.stat, f"{watcher}/{name}")
    same("names before", name in os.listdir(watcher), False)
    write(b"made", maker, name)
    eventually("a new name", lambda: name in os.listdir(watcher))
    eventually("a new file", lambda: not gone(f"{watcher}/{name}"))
    same("the new file", read(watcher, name), b"made")
    os.chmod(f"{maker}/{name}", 0o600)
    eventually("a mode", lambda: os.stat(f"{watcher}/{name}").st_mode & 0o777 == 0o600)
    os.rename(f"{maker}/{name}", f"{maker}/moved{number}")
    eventually("that it moved", lambda: gone(f"{watcher}/{name}") and not gone(f"{watcher}/moved{number}"))
    os.remove(f"{watcher}/moved{number}")
    eventually("that it was removed", lambda: gone(f"{maker}/moved{number}"))
    same("names after", sorted(os.listdir(watcher)), ["file"])
END
for one in here there; do
  unmount_nfs "/tmp/$one"
  rmdir "/tmp/$one"
done
