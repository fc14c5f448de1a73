# fio: random reads and writes of all sizes, every block with a checksum that is verified after it.
. guest/lib.sh
cd "$MNT"
common=(--directory=. --rw=randrw --bsrange=512-128k --bs_unaligned=1 --size=12M --numjobs=2 --verify=crc32c
  --verify_fatal=1 --do_verify=1 --verify_state_save=0 --verify_backlog=64 --randseed=4711 --group_reporting --output-format=terse --terse-version=3)
# through the page cache with a sync now and then, and past it with several requests on the way
fio --name=cached --fsync=64 "${common[@]}"
fio --name=direct --direct=1 --ioengine=libaio --iodepth=8 "${common[@]}" --bsrange=4k-128k --bs_unaligned=0 --blockalign=4k
same "files" "$(find . -type f -printf '%f\n' | sort | xargs)" "cached.0.0 cached.1.0 direct.0.0 direct.1.0"
same "sizes" "$(stat -c %s "$PEER"/* | sort -u)" $((12 * 1024 * 1024))
