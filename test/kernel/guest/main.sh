#!/bin/bash
# The guest's half of the runner. It mounts each server, runs its checks one after another and reports to run.ts:
#   begin NAME SECONDS      what runs now, and for how long it may
#   ok NAME SECONDS         or "not ok NAME SECONDS"
#   | TEXT                  what the check has to say; the end of all that it printed when it has failed
#   end                     all checks have run
cd "$(dirname "$0")/.." || exit
. ./config
. guest/lib.sh
set +e # a check ends at its first failure, the runner at none
export HOST_PORT PROJECT=/mnt/project NODE=/mnt/project/node_modules/node/bin/node PYTHONPATH=$PWD/guest PYTHONDONTWRITEBYTECODE=1

stty -F /dev/ttyS1 raw -echo
exec 3>/dev/ttyS1
report() { printf '%s\n' "$*" >&3; }

# What the processes of a check are waiting for: with a server that does not answer, this names the call.
show_processes() {
  echo "gave up after $2 seconds; it was running:"
  local pid
  for pid in $(ps -s "$1" -o pid=); do
    ps -p "$pid" -o pid=,stat=,args=
    cat "/proc/$pid/stack" 2>/dev/null # it may have ended meanwhile
  done
}

# run NAME SECONDS COMMAND...: runs one step in a session of its own and leaves its exit status in $status
run() {
  local name=$1 limit=$2 begin=$EPOCHREALTIME step timer first
  shift 2
  rm -rf --one-file-system /tmp/* # what the step before has left
  report "begin $name $limit"
  echo "effect-nfs: $name" >/dev/kmsg # so that dmesg says which step a message belongs to
  setsid "$@" >/tmp/output 2>&1 </dev/null 3>&- &
  step=$!
  sleep "$limit" 3>&- &
  timer=$!
  status=0
  wait -n -p first "$step" "$timer" || status=$?
  if [ "$first" = "$timer" ]; then
    status=1
    show_processes "$step" "$limit" >>/tmp/output 2>&1
  fi
  kill -KILL -- "$timer" "-$step" 2>/dev/null # the step itself, or what it left in the background
  wait "$step" "$timer" 2>/dev/null
  seconds=$(awk "BEGIN { printf \"%.1f\", $EPOCHREALTIME - $begin }")
}

result() { # NAME
  if [ "$status" = 0 ]; then
    report "ok $1 $seconds"
  else
    report "not ok $1 $seconds"
    tail -n 60 /tmp/output | cat -v | cut -c 1-500 | sed 's/^/| /' >&3
  fi
  [ ! -e /tmp/notes ] || sed 's/^/| /' /tmp/notes >&3
}

step() { # NAME SECONDS: a script of the guest's own
  run "${BACKEND:+$BACKEND/}$1" "$2" bash "guest/$1.sh"
  result "${BACKEND:+$BACKEND/}$1"
  [ "$status" = 0 ]
}

limit_of() { # FILE
  local wanted
  wanted=$(sed -n 's/^# seconds: //p' "$1")
  echo "${wanted:-240}"
}

check() { # NAME
  export CHECK=$1 MNT=$MOUNT/$1 PEER=$PEER_MOUNT/$1
  # a check that fails half way through a remount must not take the others with it
  mountpoint -q "$MOUNT" || mount_nfs "$MOUNT"
  mountpoint -q "$PEER_MOUNT" || mount_peer
  if mkdir "$MNT" >/tmp/output 2>&1; then
    run "$BACKEND/$1" "$(limit_of "checks/$1.sh")" bash "checks/$1.sh"
    if ! timeout -s KILL 60 rm -rf "$MNT" >>/tmp/output 2>&1 || [ -e "$MNT" ]; then
      echo "what the check made could not be removed" >>/tmp/output
      status=1
    fi
  else
    status=1 seconds=0
  fi
  result "$BACKEND/$1"
}

for BACKEND in $BACKENDS; do
  port=${BACKEND}_PORT checks=${BACKEND}_CHECKS
  export BACKEND NFS_PORT=${!port} MOUNT=/mnt/nfs/$BACKEND PEER_MOUNT=/mnt/peer/$BACKEND
  mkdir "$MOUNT" "$PEER_MOUNT"
  if step mount 60; then
    for name in ${!checks}; do check "$name"; done
    step unmount 60
  fi
done
unset BACKEND
if [ -n "$INSIDE" ]; then
  mkdir "$PROJECT"
  mount -o ro /dev/vdc "$PROJECT"
  for name in $INSIDE; do
    run "inside/$name" "$(limit_of "inside/$name.sh")" bash "inside/$name.sh"
    result "inside/$name"
  done
fi
step dmesg 10
report end
