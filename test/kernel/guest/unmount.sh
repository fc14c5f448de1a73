# A mount that cannot be unmounted still has a file open, or data that the server does not take.
. guest/lib.sh
unmount_nfs "$PEER_MOUNT"
unmount_nfs "$MOUNT"
same "NFS mounts that are left" "$(findmnt -n -t nfs || true)" ""
