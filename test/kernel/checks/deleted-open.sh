# A file that is removed while it is open stays usable for who has it open, and is gone after that.
. guest/lib.sh
python3 - <<'END'
import errno, time
from expect import *

os.chdir(MNT)
os.mkdir("dir")
files = []
for number in range(30):
    name = f"dir/file{number}"
    write(b"content %d" % number, name)
    files.append(open(name, "r+b", buffering=0))
    os.remove(name)
    refused(errno.ENOENT, os.stat, name)
same("files that hide behind other names", [name[:4] for name in os.listdir(f"{PEER}/dir")], [".nfs"] * 30)
for number, file in enumerate(files):
    same("read", file.read(), b"content %d" % number)
    file.write(b", and more")
    os.fsync(file.fileno())
    file.seek(0)
    same("read after writing", file.read(), b"content %d, and more" % number)
# a new file of the same name is another file
write(b"new", "dir/file0")
same("the open file", os.pread(files[0].fileno(), 9, 0), b"content 0")
same("the new file", read(PEER, "dir/file0"), b"new")
os.remove("dir/file0")
for file in files:
    file.close()
for _ in range(50):  # the last close asks for the removal and does not wait for it
    if not os.listdir("dir"):
        break
    time.sleep(0.1)
same("names after closing", (os.listdir("dir"), os.listdir(f"{PEER}/dir")), ([], []))
os.rmdir("dir")

# removed by another client, an open file is stale, and never some other file
write(b"one", "victim")
with open(f"{PEER}/victim", "rb") as file:
    same("before", file.read(), b"one")
    os.remove("victim")
    for number in range(20):
        write(b"two", f"successor{number}")
    refused(errno.ESTALE, os.fstat, file.fileno())
END
