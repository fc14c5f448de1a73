#!/usr/bin/env bash
# Installs the Debian packages that test/clients and test/kernel use. Needs root. Only CI calls this: on a user's machine
# a test that misses a program says so and is skipped.
set -euo pipefail

packages=(
  libnfs-utils # nfs-ls, nfs-cat, nfs-cp: a client in user space
  rpcbind      # rpcinfo, and a portmapper to register with
  nfs-common   # showmount
  iproute2 util-linux # a network of their own for them: ip, unshare, nsenter
  tshark       # an independent reading of what is on the wire
  qemu-system-x86 mmdebstrap e2fsprogs cpio kmod # the guest with a real kernel client
)

export DEBIAN_FRONTEND=noninteractive
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

apt-get update -qq -o Acquire::Retries=3
echo 'wireshark-common wireshark-common/install-setuid boolean false' | debconf-set-selections
apt-get install -qq -o Acquire::Retries=3 --no-install-recommends "${missing[@]}" >/dev/null
echo "installed ${missing[*]}"
