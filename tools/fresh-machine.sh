#!/bin/bash
# A fresh Debian in a directory of its own; there, as a newcomer would: `make run` and `make test`.
#
#   fresh-machine.sh [SUITE]     trixie (Python 3.13) by default; needs root
#
# It works on what is committed. Nothing of it stays: processes end with its pid namespace, mounts with
# its mount namespace, and the directory is removed.
set -euo pipefail
cd "$(dirname "$0")/.."
suite=${1:-trixie}
[ "$(id -u)" = 0 ] || { echo "fresh-machine.sh: needs root, to make a Debian" >&2; exit 1; }

machine=$(mktemp -d /var/tmp/auto-iter-fresh.XXXXXX)
trap 'rm -rf --one-file-system "$machine"' EXIT
trap 'exit 130' INT TERM

if ! command -v mmdebstrap >/dev/null; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null
fi
# the mirror that this machine's own apt uses
mirror=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null || true)
mirror=$(grep -oE '(https?|file)://[^ ]+' <<<"$mirror" | grep -v security | grep -v snapshot | head -n 1)
mmdebstrap --quiet --mode=root --format=directory --variant=apt \
    --include=make,python3,ca-certificates,mount --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt=force-unsafe-io "$suite" "$machine" "deb $mirror $suite main"
# it trusts what this machine trusts
cp -L /etc/ssl/certs/ca-certificates.crt "$machine/etc/ssl/certs/"
cp -L /etc/resolv.conf "$machine/etc/"
grep -qw "$(hostname)" "$machine/etc/hosts" 2>/dev/null ||
    echo "127.0.0.1 localhost $(hostname)" >>"$machine/etc/hosts"
mkdir "$machine/root/auto-iter"
git archive HEAD | tar -x -C "$machine/root/auto-iter"

cat >"$machine/root/newcomer.sh" <<'NEWCOMER'
set -eu
cd /root/auto-iter
python3 --version
began=$(date +%s)
make run >run.log 2>&1 || { cat run.log; exit 1; }
tail -n 30 run.log
echo "make run took $(($(date +%s) - began)) s, with the installation"
make test
NEWCOMER
export machine
unshare --mount --pid --fork --kill-child bash -euc '
    mount -t proc proc "$machine/proc"
    mount --rbind /dev "$machine/dev"
    mount --rbind /sys "$machine/sys"
    exec env -i HOME=/root LANG=C.UTF-8 TERM=xterm \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        ${PIP_CERT:+PIP_CERT="$PIP_CERT"} ${SSL_CERT_FILE:+SSL_CERT_FILE="$SSL_CERT_FILE"} \
        ${PIP_INDEX_URL:+PIP_INDEX_URL="$PIP_INDEX_URL"} \
        ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
        chroot "$machine" sh /root/newcomer.sh'
