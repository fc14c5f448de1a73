# A filesystem that is computed by a function: docs/examples/numbers.ts, which run.ts serves on a port of its own.
# needs: numbers
. guest/lib.sh
. ./config
numbers=/tmp/numbers
mkdir "$numbers"
ports=port=$NUMBERS_PORT,mountport=$NUMBERS_PORT
mount -t nfs -o "vers=3,proto=tcp,mountproto=tcp,nolock,hard,$ports" 10.0.2.2:/ "$numbers"
same "what is listed" "$(ls "$numbers" | sort | md5sum)" "$({ seq 100; echo all.txt; echo largest; } | sort | md5sum)"
same "a number that is not listed" "$(cat "$numbers/1001/factors")" "7 11 13"
same "a symbolic link" "$(readlink "$numbers/largest") $(cat "$numbers/largest/square")" "100 10000"
same "a file that is computed in parts" "$(md5sum <"$numbers/all.txt")" "$(seq -f '%6.0f' 100000 | md5sum)"
same "its last line" "$(tail -n 1 "$numbers/all.txt")" "100000"
same "all files" "$(find "$numbers" -type f | wc -l)" 301
refused "Read-only file system" touch "$numbers/new"
refused "Read-only file system" mkdir "$numbers/new"
refused "Read-only file system" ln -s target "$numbers/new"
refused "Read-only file system" rm -f "$numbers/1/square"
umount "$numbers"
rmdir "$numbers"
