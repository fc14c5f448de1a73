# The server is ended by SIGTERM and started again, time and again, while dd, git and tar are at work: none of them
# notices, and all data is right.
# needs: restart disk
# seconds: 500
. guest/lib.sh
export GIT_CONFIG_GLOBAL=/tmp/gitconfig
printf '[user]\n\tname = kernel\n\temail = kernel@example.org\n[gc]\n\tauto = 0\n' >"$GIT_CONFIG_GLOBAL"
head -c 6M /dev/urandom >/tmp/data
mkdir /tmp/tree
cp -a /usr/include/linux/n* /tmp/tree/
tar -C /tmp -cf /tmp/tree.tar tree

use_dd() {
  dd if=/tmp/data of="$MNT/data" bs=16K conv=fsync status=none
  dd if="$MNT/data" bs=64K iflag=direct status=none | cmp - /tmp/data
  dd if=/tmp/data of="$MNT/data" bs=64K oflag=direct conv=notrunc status=none
  cmp /tmp/data "$PEER/data"
  rm "$MNT/data"
}

use_git() {
  mkdir "$MNT/git"
  cd "$MNT/git"
  git init -q -b main work
  cp -a /tmp/tree/{nfs*,netfilter_ipv*} work/
  git -C work add -A
  git -C work commit -q -m first
  git -C work mv netfilter_ipv4 moved
  git -C work commit -q -m second
  git clone -q --no-local work clone
  git -C clone gc -q --prune=now
  git -C clone fsck --full --strict
  diff -r --exclude=.git work "$PEER/git/clone"
  same "differences" "$(git -C clone status --porcelain)" ""
  cd /
  rm -rf "$MNT/git"
}

use_tar() {
  mkdir "$MNT/tar"
  tar -C "$MNT/tar" -xf /tmp/tree.tar
  tar -C "$MNT/tar" --sort=name -cf - tree | tar -C /tmp -df -
  diff -r /tmp/tree "$PEER/tar/tree"
  rm -rf "$MNT/tar"
}

# until_calm COMMAND: again and again until the server is left alone
until_calm() {
  local rounds=0
  while [ ! -e /tmp/calm ] || [ $rounds = 0 ]; do
    "$1"
    rounds=$((rounds + 1))
  done
  echo "$1 $rounds times" >>/tmp/rounds
}

pids=()
for command in use_dd use_git use_tar; do
  until_calm $command &
  pids+=($!)
done
for number in {1..5}; do
  sleep 4
  host restart-server
  [ "$(jobs -pr | wc -l)" = 3 ] || fail "one has ended before restart $number"
done
touch /tmp/calm
for pid in "${pids[@]}"; do wait "$pid"; done
note "5 restarts during $(xargs </tmp/rounds)"
excuse_strays
