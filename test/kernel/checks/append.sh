# Several processes append to one file, and no line gets lost or torn; then two clients in turn.
. guest/lib.sh
python3 - <<'END'
from expect import *

WRITERS, LINES = 6, 200
log = os.path.join(MNT, "log")

def line(writer, number):
    return b"%d %d %s\n" % (writer, number, b"x" * (number * 31 % 300))

def append(writer):
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for number in range(LINES):
        data = line(writer, number)
        same("written", os.write(file, data), len(data))
    os.close(file)

finish(*(start(append, writer) for writer in range(WRITERS)))
lines = read(PEER, "log").splitlines(keepends=True)
same("lines", sorted(lines), sorted(line(writer, number) for writer in range(WRITERS) for number in range(LINES)))
for writer in range(WRITERS):
    mine = [text for text in lines if text.startswith(b"%d " % writer)]
    same(f"order of the lines of {writer}", mine, [line(writer, number) for number in range(LINES)])

for number in range(40):
    with open(os.path.join(MNT if number % 2 else PEER, "turns"), "ab") as file:
        file.write(b"%d\n" % number)
wanted = b"".join(b"%d\n" % number for number in range(40))
same("lines by two clients in turn", (read(MNT, "turns"), read(PEER, "turns")), (wanted, wanted))
END
