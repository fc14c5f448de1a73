# Thousands of files copied with all that belongs to them, compared, and removed without a trace.
# seconds: 400
. guest/lib.sh

# The guest's own files, with owners, modes and times of more than one kind.
mkdir /tmp/tree
cp -a /usr/include /usr/lib/python3.*/[c-h]* /etc /tmp/tree/
python3 - <<'END'
import os
number = 0
for folder, folders, files in os.walk("/tmp/tree", topdown=False):
    for name in sorted(files) + sorted(folders):
        path = os.path.join(folder, name)
        number += 1
        os.chown(path, number % 7 * 1000, number % 5 * 100, follow_symlinks=False)
        if not os.path.islink(path):
            os.chmod(path, (0o755 if name in folders else 0o400) | number * 37 % 0o4000)
        os.utime(path, ns=(number * 10**15 % 4 * 10**18, 10**18 + number * 123456789), follow_symlinks=False)
END
count=$(find /tmp/tree | wc -l)
links=$(find /tmp/tree -type l | wc -l)
echo "$count files, $links of them symbolic links"
if [ "$count" -lt 2000 ] || [ "$links" -lt 20 ]; then fail "too small a tree to mean something"; fi

# Everything but the sizes of directories, which are the server's own business.
describe() { (cd "$1" && find . -type d -printf '%p %y %m %U %G %T@\n' -o -printf '%p %y %m %U %G %T@ %n %s %l\n' | sort); }

describe /tmp/tree >/tmp/wanted
cp -a /tmp/tree "$MNT/copy"
describe "$MNT/copy" >/tmp/got
diff /tmp/wanted /tmp/got | head -n 20
drop_caches
describe "$PEER/copy" >/tmp/got
diff /tmp/wanted /tmp/got | head -n 20
diff -r --no-dereference /tmp/tree "$MNT/copy"

rm -rf "$MNT/copy"
same "left after rm -rf" "$(ls -A "$MNT" "$PEER")" "$(printf '%s:\n\n%s:' "$MNT" "$PEER")"
rm -rf /tmp/tree
