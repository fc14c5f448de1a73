#!/bin/bash
# Builds the guest that the kernel-client checks run in: Debian's cloud kernel, a small initrd and a root image,
# from the machine's own apt sources. Progress goes to stderr; the directory with the result is all of stdout.
# What was built from the same inputs before is found in the cache and returned at once.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/effect-nfs/kernel
inputs=("$here"/build.sh "$here"/image/initrd-init "$here"/image/init)

say() { echo "kernel guest: $*" >&2; }
die() { say "$*"; exit 1; }

key=$(cat "${inputs[@]}" | sha256sum | cut -c1-16)
if [ -e "$cache/$key/root.img" ] && type qemu-system-x86_64 >/dev/null 2>&1; then
  echo "$cache/$key"
  exit
fi

[ "$(uname -m)" = x86_64 ] || die "needs an x86_64 machine, this one is $(uname -m)"
type apt-get >/dev/null 2>&1 || die "needs Debian: there is no apt-get on this machine"
[ "$(id -u)" = 0 ] || die "the first build needs root: it installs packages and makes a root filesystem"

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9 # another suite may be building the same at this moment

work=$(mktemp -d "$cache/building.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
# apt says a lot, and only what it said before a failure is of interest
quietly() { "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; die "failed: $1 ${2-}"; }; }

export DEBIAN_FRONTEND=noninteractive
missing=()
for need in qemu-system-x86_64:qemu-system-x86 mmdebstrap:mmdebstrap mke2fs:e2fsprogs cpio:cpio depmod:kmod; do
  type "${need%%:*}" >/dev/null 2>&1 || missing+=("${need#*:}")
done
say "updating apt's lists${missing[*]:+, installing ${missing[*]}}"
quietly apt-get update -q
[ ${#missing[@]} = 0 ] || quietly apt-get install -q -y --no-install-recommends "${missing[@]}"

if [ ! -e "$cache/$key/root.img" ]; then
  # The kernel and busybox are only unpacked: installing them would build an initrd that nobody boots.
  image=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
  [ -n "$image" ] || die "apt knows no package linux-image-cloud-amd64: are there Debian sources in /etc/apt?"
  say "fetching $image"
  mkdir "$work/debs"
  chmod 755 "$work" # apt fetches as a user of its own
  (cd "$work/debs" && quietly apt-get download -q -o APT::Sandbox::User=root "$image" busybox-static)
  for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$work/unpacked"; done
  version=${image#linux-image-}

  say "making the root filesystem"
  # The same archives, by the same way, that this machine's apt uses.
  apt-get indextargets --format "deb \$(REPO_URI) \$(RELEASE) \$(COMPONENT)" \
    'Created-By: Packages' 'Origin: Debian' 'Architecture: amd64' >"$work/sources.list"
  apt-config dump | grep -i '^Acquire::.*Proxy' >"$work/apt.conf" || true
  codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
  packages=(
    nfs-common netbase mount iproute2 kmod procps strace       # the client, and looking at it
    git sqlite3 gcc libc6-dev make python3 fio rsync   # the programs that the checks run on it
    acl attr time diffutils findutils
  )
  quietly mmdebstrap --variant=essential --include="$(IFS=,; echo "${packages[*]}")" --aptopt="$work/apt.conf" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    "$codename" "$work/rootfs" "$work/sources.list"

  say "making the images"
  mkdir -p "$work/rootfs/lib/modules" "$work/rootfs/mnt/nfs" "$work/rootfs/mnt/peer"
  modules=$(find "$work/unpacked" -type d -path "*/lib/modules/$version") # below /usr in newer releases
  cp -r "$modules" "$work/rootfs/lib/modules/"
  depmod -b "$work/rootfs" "$version"
  install -m 755 "$here/image/init" "$work/rootfs/sbin/suite-init"

  mkdir -p "$work"/initrd/{bin,dev,modules,proc,root} "$work/out"
  find "$work/unpacked" -type f -path '*bin/busybox' -exec cp {} "$work/initrd/bin/" \;
  install -m 755 "$here/image/initrd-init" "$work/initrd/init"
  for module in virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk; do
    find "$modules" -name "$module.ko*" -exec cp {} "$work/initrd/modules/" \;
  done
  find "$work/initrd/modules" -name '*.xz' -exec xz -d {} + # newer releases compress them
  (cd "$work/initrd" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/out/initrd.gz"
  cp "$work/unpacked/boot/vmlinuz-$version" "$work/out/vmlinuz"
  # Room for what the checks keep locally; blocks that are never written take no space here.
  truncate -s 3G "$work/out/root.img"
  quietly mke2fs -q -t ext4 -E lazy_itable_init=1,lazy_journal_init=1 -d "$work/rootfs" "$work/out/root.img"

  for old in "$cache"/*/; do
    [ "$old" = "$work/" ] || rm -rf -- "$old"
  done
  mv "$work/out" "$cache/$key" # in one step, so that a build that was stopped is never taken for a whole one
fi
say "built in $SECONDS s"
echo "$cache/$key"
