# What the checks share. A check is run by "bash checks/NAME.sh" as root, with these in its environment:
#   MNT          an empty directory on the mount, made for this check and removed after it
#   PEER         the same directory through a second mount with caches of its own: what another client would see
#   MOUNT        where the mount itself is, PEER_MOUNT the second one
#   BACKEND      which server it is a mount of, CHECK the name of the check
# It starts with ". guest/lib.sh" and fails when a command in it does, or by saying so.
# Python scripts of checks find the like in guest/expect.py.
set -euo pipefail

fail() {
  echo "FAILED: $*"
  exit 1
}

# same WHAT GOT WANTED
same() {
  [ "$2" = "$3" ] || fail "$1: got '$2', wanted '$3'"
}

# refused TEXT COMMAND...: the command must fail, and say this
refused() {
  local text=$1 said
  shift
  if said=$("$@" 2>&1); then
    fail "went through, but wanted '$text': $*"
  fi
  [[ $said == *"$text"* ]] || fail "wanted '$text' from: $*; it said: $said"
}

# as_user COMMAND...: as somebody who is not root and in no group but his own
as_user() { setpriv --reuid=1000 --regid=1000 --clear-groups -- "$@"; }

# From here on, data is read from the server again.
drop_caches() {
  sync
  echo 3 >/proc/sys/vm/drop_caches
}

mount_nfs() { # DIRECTORY [MORE,OPTIONS]
  mount -t nfs -o "vers=3,tcp,port=$NFS_PORT,mountport=$NFS_PORT,mountproto=tcp,nolock,hard${2:+,$2}" 10.0.2.2:/ "$1"
}

# Without nosharecache it would be the first mount once more, with the same caches.
mount_peer() { mount_nfs "$PEER_MOUNT" nosharecache,actimeo=0,lookupcache=none; }

# Replies that answered no call. Only the kernel sees them, and an unmount takes the count with it.
strays() { # DIRECTORY
  awk -v dir="$1" '$1 == "device" { here = $5 == dir } here && $1 == "xprt:" { print $10 }' /proc/self/mountstats
}

# When a connection is lost, a client may send a call twice over the next one, and then gets two replies. That is its own
# business, but it is told. A check that ends the server says so at its end.
excuse_strays() {
  local count excused
  count=$(strays "$MOUNT")
  excused=$(cat /run/excused)
  [ "$count" = "$excused" ] || note "$((count - excused)) replies to no call"
  echo "$count" >/run/excused
}

unmount_nfs() { # DIRECTORY
  same "replies to no call on $1" "$(strays "$1")" "$(cat /run/excused)"
  umount "$1"
}

# Tells something that is worth knowing though it is no failure: it is shown beside the result.
note() { echo "$*" >>/tmp/notes; }

# host VERB ARGUMENTS...: has the host do something (see requests.ts), waits until it is done and prints what it says.
host() {
  local answer
  exec {socket}<>"/dev/tcp/10.0.2.2/$HOST_PORT"
  echo "$BACKEND $CHECK $*" >&"$socket"
  answer=$(cat <&"$socket")
  exec {socket}>&-
  same "the host's answer to $*" "${answer##*$'\n'}" done
  printf %s "${answer%done}"
}

# same_on_disk COMMAND NAME PLACE...: what the command says of NAME there is what it says on the host's disk.
same_on_disk() {
  local command=$1 name=$2 place
  shift 2
  host describe "$command" "$name" >/tmp/wanted
  [ -s /tmp/wanted ] || fail "$command said nothing of $name"
  for place in "$@"; do
    bash guest/describe.sh "$command" "$place/$name" >/tmp/got
    diff /tmp/wanted /tmp/got >/tmp/different || fail "$command in $place: $(head -n 20 /tmp/different)"
  done
}
