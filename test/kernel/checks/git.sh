# git: many small files, lock files renamed into place, objects that are read-only from their creation.
# It reads back and verifies everything it has stored by itself.
# seconds: 400
. guest/lib.sh
export GIT_CONFIG_GLOBAL=/tmp/gitconfig
cat >"$GIT_CONFIG_GLOBAL" <<'END'
[user]
	name = kernel
	email = kernel@example.org
[gc]
	auto = 0
END

cd "$MNT"
git init -q -b main work
cd work
python3 - <<'END'
import os
for number in range(225):
    os.makedirs(f"part{number % 25}/deep", exist_ok=True)
    with open(f"part{number % 25}/deep/file{number}.txt", "w") as file:
        file.write(f"the content of file {number}\n" * (1 + number * 7 % 60))
END
git add -A
git commit -q -m first
same "files in the index" "$(git ls-files | wc -l)" 225
python3 - <<'END'
import os
for number in range(225):
    name = f"part{number % 25}/deep/file{number}.txt"
    if number % 5 == 0:
        with open(name, "a") as file:
            file.write("changed\n")
    elif number % 5 == 1:
        os.remove(name)
    elif number % 5 == 2:
        os.rename(name, f"part{number % 25}/moved{number}.txt")
END
find . -type d -empty -not -path './.git/*' -delete # git does not keep them
git add -A
git commit -q -m second
same "what changed" "$(git diff --name-status -M HEAD~ | cut -c 1 | sort | uniq -c | xargs)" "45 D 45 M 45 R"
git fsck --full --strict

# the ways of the network, so that every object is read and written anew
git clone -q --no-local . ../clone
same "the clone's log" "$(git -C ../clone log --format='%H %T %s')" "$(git log --format='%H %T %s')"
diff -r --exclude=.git . ../clone

git gc -q --prune=now
same "loose objects after gc" "$(git count-objects)" "0 objects, 0 kilobytes"
git fsck --full
git checkout -q HEAD~
same "files of the first commit" "$(find . -name '*.txt' -not -path './.git/*' | wc -l)" 225
same "differences to the first commit" "$(git status --porcelain)" ""

# another client has to find the same
git -C "$PEER/clone" fsck --full
same "the peer's log" "$(git -C "$PEER/work" log --format='%H %T %s' main)" "$(git log --format='%H %T %s' main)"
same "the peer's differences" "$(git -C "$PEER/work" status --porcelain)" ""
