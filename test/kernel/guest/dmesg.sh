# The kernel must have had nothing to say about the server, such as "fileid changed", "readdir loop", "not responding".
. guest/lib.sh
said=$(dmesg | awk '
  /effect-nfs: / { during = $0; next }
  /RPC: Registered .* module/ { next } # said when the modules are loaded
  tolower($0) ~ /nfs|rpc|lockd|blocked for more than/ { print during; print }
')
same "messages of the kernel" "$said" ""
