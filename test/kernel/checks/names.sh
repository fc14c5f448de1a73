# Names are bytes: whatever the kernel lets through comes back as it was.
. guest/lib.sh
python3 - <<'END'
import errno
from expect import *

names = [
    b"with space", b" space before", b"space after ", b"new\nline", b"tab\t", b"\x01\x1b\x7f", b"-rf", b"*", b"?", b"\\", b"'", b'"',
    b"$(x)", b"a:b", b"C:", b"con", b"...", b".hidden", b"dot.", b"%2F", b"#", b"~", b"@",
    "\u00e9".encode(), "e\u0301".encode(),  # one letter to the eye, two names
    b"case", b"CASE", "\U0001f600".encode(), "\u65e5\u672c\u8a9e".encode(), "\ufeff".encode(), "\ufffd".encode(),
    # no UTF-8: stray bytes, a cut sequence, an overlong one, surrogates, beyond the last code point
    b"\xff", b"\x80", b"\xfe\xff", b"\xc3\x28", b"\xe2\x82", b"\xc0\xaf", b"\xed\xa0\x80", b"\xed\xb3\xbf", b"\xed\xb2\x80",
    b"\xf4\x90\x80\x80", b"mixed \xf0\x9f\x98\x80 \xff",
    b"x" * 255, b"\xff" * 255, "\U0001f600".encode() * 63 + b"abc",
]
os.chdir(os.fsencode(MNT))
peer = os.fsencode(PEER)
for folder in b"files", b"dirs", b"moved":
    os.mkdir(folder)
for name in names:
    write(b"I am " + name, b"files", name)
    os.mkdir(os.path.join(b"dirs", name))
    write(name, b"dirs", name, b"inside")
for place in os.fsencode(MNT), peer:
    for folder in b"files", b"dirs":
        same(f"names in {folder}", sorted(os.listdir(os.path.join(place, folder))), sorted(names))
    for name in names:
        same(f"content of {name}", read(place, b"files", name), b"I am " + name)
        same(f"content below {name}", read(place, b"dirs", name, b"inside"), name)
for name in names:
    os.rename(os.path.join(b"files", name), os.path.join(b"moved", name[::-1]))
same("names after renaming", sorted(os.listdir(os.path.join(peer, b"moved"))), sorted(name[::-1] for name in names))
for name in names:
    same(f"content of {name} after renaming", read(peer, b"moved", name[::-1]), b"I am " + name)
    os.remove(os.path.join(b"moved", name[::-1]))
    os.remove(os.path.join(b"dirs", name, b"inside"))
    os.rmdir(os.path.join(b"dirs", name))
for folder in b"files", b"dirs", b"moved":
    same(f"left in {folder}", os.listdir(os.path.join(peer, folder)), [])

for long in b"x" * 256, b"\xff" * 256, "\u00e9".encode() * 128:
    for function in os.mkdir, os.stat, os.mkfifo:
        refused(errno.ENAMETOOLONG, function, long)
    refused(errno.ENAMETOOLONG, write, b"", long)
    refused(errno.ENAMETOOLONG, os.symlink, b"x", long)
    refused(errno.ENAMETOOLONG, os.rename, b"files", long)
same("the longest name that the server says", os.pathconf(".", "PC_NAME_MAX"), 255)
END
