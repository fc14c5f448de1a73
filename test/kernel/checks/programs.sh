# Ten programs at once, each in its own directory.
# seconds: 400
. guest/lib.sh
cd "$MNT"
head -c 6M /dev/urandom >/tmp/random
seq 60000 >/tmp/numbers
mkdir /tmp/source
cp -a /usr/include/linux/netfilter* /tmp/source/

use_git() {
  git init -q .
  cp /tmp/numbers a
  cp /tmp/random b
  git add a b
  git -c user.name=a -c user.email=b commit -q -m one
  git fsck --full
  rm a b
  git checkout -q .
  cmp a /tmp/numbers
  cmp b /tmp/random
}
use_sqlite() {
  sqlite3 -bail a.db "CREATE TABLE t (n INTEGER)" ".import /tmp/numbers t" "CREATE INDEX i ON t (n)"
  same "sum in the database" "$(sqlite3 a.db "SELECT sum(n) FROM t")" 1800030000
  same "integrity" "$(sqlite3 a.db "PRAGMA integrity_check")" ok
}
use_gcc() {
  printf '#include <stdio.h>\nint main(void) { puts("compiled"); }\n' >a.c
  gcc -o a a.c
  same "what was compiled" "$(./a)" compiled
}
use_tar() {
  tar -C /tmp/source -cf a.tar .
  mkdir copy
  tar -C copy -xf a.tar
  diff -r copy /tmp/source
}
use_rsync() {
  rsync -a /tmp/source/ copy
  same "what a second rsync would do" "$(rsync -a -n --itemize-changes --checksum --delete /tmp/source/ copy)" ""
}
use_dd() {
  for size in 1K 7K 100K 1M; do
    dd if=/tmp/random of="$size" bs=$size iflag=fullblock conv=fsync status=none
    cmp "$size" /tmp/random
  done
}
use_sort() {
  shuf /tmp/numbers >shuffled
  sort -n -S 200K -T . shuffled >sorted # too little memory, so that it makes temporary files
  cmp sorted /tmp/numbers
}
use_gzip() {
  gzip -1 -c /tmp/random >a.gz
  gzip -d <a.gz >a
  cmp a /tmp/random
}
use_split() {
  split -b 50K /tmp/random part.
  cat part.* | cmp - /tmp/random
}
use_python() {
  cp -a /usr/lib/python3.*/json .
  PYTHONDONTWRITEBYTECODE='' PYTHONPATH=. python3 -c 'import json; assert json.__file__ == "./json/__init__.py" or json.__file__.startswith("/mnt/nfs")
assert json.loads(json.dumps({"a": [1, 2]})) == {"a": [1, 2]}'
  same "compiled by python" "$(find json/__pycache__ -name '__init__*.pyc' | wc -l)" 1
}

programs=(use_git use_sqlite use_gcc use_tar use_rsync use_dd use_sort use_gzip use_split use_python)
declare -A pids
for program in "${programs[@]}"; do
  mkdir "$program"
  (cd "$program" && $program) &
  pids[$program]=$!
done
broken=()
for program in "${programs[@]}"; do
  wait "${pids[$program]}" || broken+=("$program")
done
same "programs that failed" "${broken[*]}" ""
