# The server is ended and started again while it is mounted: the mount goes on.
# needs: restart
. guest/lib.sh
echo before >"$MNT/file"
exec 4<"$MNT/file"
host restart-server

# A filesystem in memory is empty after that, and what was open is stale; another keeps everything. Neither may hang,
# or give somebody else's file for ours.
mkdir -p "$MNT"
for number in {1..20}; do echo other >"$MNT/other$number"; done
if content=$(cat <&4 2>&1); then
  same "the file that was open" "$content" before
else
  [[ $content == *"Stale file handle"* ]] || fail "the file that was open: $content"
  refused "No such file" cat "$PEER/file"
fi
echo after >"$MNT/file"
same "a new file" "$(cat "$PEER/file")" after
same "listing" "$(find "$PEER" -type f | wc -l)" 21
excuse_strays
