# Pipes, sockets and devices: the server keeps their names and numbers, the client makes them work.
. guest/lib.sh
cd "$MNT"

mkfifo -m 640 pipe
seq 20000 >pipe &
same "through the pipe" "$(sha1sum <pipe)" "$(seq 20000 | sha1sum)"
wait $!
same "size of a pipe" "$(stat -c %s pipe)" 0

mknod null c 1 3
mknod zero c 1 5
mknod disk b 254 0
mknod large c 4001 70001
echo nothing >null
same "what /dev/null kept" "$(cat null)" ""
same "from /dev/zero" "$(head -c 3 zero | od -An -tx1)" " 00 00 00"
cmp -n 4096 disk /dev/vda

python3 - <<'END'
import socket
from expect import *

os.chdir(MNT)
server = socket.socket(socket.AF_UNIX)
server.bind("socket")
server.listen()

def client():
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect("socket")
        connection.sendall(b"through the socket")

pid = start(client)
connection = server.accept()[0]
same("received", connection.recv(100), b"through the socket")
finish(pid)
END

wanted="block special file 660 254 0
character special file 600 1 3
character special file 600 1 5
character special file 600 4001 70001
fifo 640 0 0
socket 755 0 0"
chmod 600 null zero large
chmod 660 disk
for place in "$MNT" "$PEER"; do
  drop_caches
  same "kinds, modes and numbers" "$(stat -c '%F %a %Hr %Lr' "$place"/* | sort)" "$wanted"
  same "kinds in the listing" "$(find "$place" -mindepth 1 -printf '%f %y\n' | sort | xargs)" \
    "disk b large c null c pipe p socket s zero c"
done
rm pipe null zero disk large socket
same "left" "$(ls -A "$PEER")" ""
