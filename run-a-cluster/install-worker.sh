#!/bin/sh
# Makes this machine a worker: installs NodeEngine and NetManager with their units, and joins a cluster.
#
#   install-worker.sh [OPTIONS] [join URL --token TOKEN ...]     everything from "join" on goes to NodeEngine
#   install-worker.sh --uninstall [--root DIR]
#
#   --from DIR|URL   where the executables are: a directory or https://...; else beside this script
#   --sums SHA256    what the file SHA256SUMS there must hash to, if you know it from somewhere else
#   --no-network     without NetManager: instances use the network of the machine
#   --no-packages    install nothing from the distribution; containerd and runc are there
#   --root DIR       put the files below DIR
#   --uninstall      leave the cluster, stop and remove all of it
set -eu

from=$(dirname "$0") sums='' root='' network=yes packages=yes uninstall='' got=''
programs='NodeEngine NetManager' units='hedgerow-node hedgerow-net'

say() { printf 'install-worker: %s\n' "$*"; }
fail() {
    printf 'install-worker: %s\n' "$*" >&2
    exit 1
}
usage() { sed -n '2,/^set/s/^#[ ]\{0,1\}//p' "$0"; }
value() { [ -n "${2:-}" ] || fail "$1 needs a value; see --help."; }

while [ $# -gt 0 ]; do
    case $1 in
    --from) value "$@" && from=$2 && shift ;;
    --sums) value "$@" && sums=$2 && shift ;;
    --root) value "$@" && root=${2%/} && shift ;;
    --no-network) network='' programs=NodeEngine units=hedgerow-node ;;
    --no-packages) packages='' ;;
    --uninstall) uninstall=yes ;;
    -h | --help) usage && exit 0 ;;
    join) break ;;
    *) fail "There is no option '$1'; see --help." ;;
    esac
    shift
done

bin=$root/usr/local/bin etc=$root/etc/hedgerow unit_dir=$root/etc/systemd/system data=$root/var/lib/hedgerow
has_systemd() { [ -d "$root/run/systemd/system" ]; }

architecture() {
    case $(uname -m) in
    x86_64) echo amd64 ;;
    aarch64) echo arm64 ;;
    armv7l) echo arm ;;
    *) fail "There are no executables for a $(uname -m); build them there with scripts/binaries." ;;
    esac
}

fetch() { # name, to
    case $from in
    https://* | http://127.0.0.1:* | http://localhost:*)
        if command -v curl >/dev/null; then
            curl -fsSL --proto-redir =https --retry 3 --max-time 600 -o "$2" -- "${from%/}/$1"
        elif command -v wget >/dev/null; then
            wget -q -T 60 -t 3 -O "$2" -- "${from%/}/$1"
        else
            fail "Neither curl nor wget is here to download $from; install one of them."
        fi || fail "${from%/}/$1 could not be downloaded."
        ;;
    http://*) fail "$from is not encrypted, so anybody on the way could change what is installed; use https://." ;;
    *) cp -- "$from/$1" "$2" 2>/dev/null || fail "There is no $1 in $from; make it with scripts/binaries, or say --from." ;;
    esac
}

# All or nothing: what is in place is replaced only by what has the right checksum.
get() {
    got=$(mktemp -d "${TMPDIR:-/tmp}/hedgerow-worker.XXXXXX")
    trap 'rm -rf "$got"' EXIT
    trap 'exit 1' HUP INT TERM
    fetch SHA256SUMS "$got/SHA256SUMS"
    [ -z "$sums" ] || printf '%s  %s\n' "$sums" "$got/SHA256SUMS" | sha256sum -c --status - ||
        fail "$from/SHA256SUMS is not the file that --sums names; nothing was installed."
    for file in "$@"; do
        fetch "$file" "$got/$file"
        line=$(grep -F "  $file" "$got/SHA256SUMS" | grep -E "^[0-9a-f]{64}  $file\$") ||
            fail "SHA256SUMS says nothing of $file; nothing was installed."
        (cd "$got" && printf '%s\n' "$line" | sha256sum -c --status -) ||
            fail "$file has another checksum than SHA256SUMS says; nothing was installed. Download it again."
    done
}

install_packages() {
    missing=
    for program in containerd runc; do command -v $program >/dev/null || missing="$missing $program"; done
    [ -n "$missing" ] || return 0
    say "installing$missing"
    if command -v apt-get >/dev/null; then
        export DEBIAN_FRONTEND=noninteractive
        # shellcheck disable=SC2086
        apt-get install -q -y --no-install-recommends $missing >/dev/null 2>&1 ||
            { apt-get update -q >/dev/null && apt-get install -q -y --no-install-recommends $missing >/dev/null; }
    elif command -v dnf >/dev/null; then
        # shellcheck disable=SC2086
        dnf install -q -y $missing
    else
        fail "Install$missing with this distribution's own tool, then run this again with --no-packages."
    fi || fail "$missing could not be installed."
}

install_files() {
    arch=$(architecture)
    set --
    for program in $programs; do set -- "$@" "${program}_$arch"; done
    for unit in $units; do set -- "$@" "$unit.service"; done
    get "$@"
    mkdir -p "$bin" "$unit_dir" "$etc"
    for program in $programs; do
        # A rename, because the old one may run.
        cp "$got/${program}_$arch" "$bin/.$program.new"
        chmod 755 "$bin/.$program.new"
        mv "$bin/.$program.new" "$bin/$program"
    done
    for unit in $units; do cp "$got/$unit.service" "$unit_dir/$unit.service"; done
    chmod 644 "$unit_dir"/hedgerow-*.service
    [ -z "$network" ] || use_network
}

# What an operator wrote there stays.
use_network() {
    [ -e "$etc/node.env" ] || (umask 077 && : >"$etc/node.env")
    grep -q '^HEDGEROW_NODE_NET' "$etc/node.env" ||
        echo 'HEDGEROW_NODE_NET_MANAGER=unix:///run/hedgerow/net.sock' >>"$etc/node.env"
}

start() {
    has_systemd || return 0
    systemctl daemon-reload
    systemctl enable --quiet --now containerd.service || fail "containerd does not start; see journalctl -u containerd."
    [ -z "$network" ] || systemctl enable --quiet hedgerow-net.service
    [ -z "$network" ] || systemctl restart hedgerow-net.service
    # One that ran before goes on with the new executable.
    ! systemctl is-active --quiet hedgerow-node.service || systemctl restart hedgerow-node.service
}

remove() {
    if [ -x "$bin/NodeEngine" ] && [ -e "$data/node" ]; then
        "$bin/NodeEngine" leave --yes || say "NodeEngine could not end everything; what it ran may go on until the next start."
    fi
    if has_systemd; then
        for unit in $units; do systemctl disable --quiet --now "$unit.service" 2>/dev/null || :; done
    fi
    for program in $programs; do rm -f "$bin/$program"; done
    for unit in $units; do rm -f "$unit_dir/$unit.service"; done
    ! has_systemd || systemctl daemon-reload
    rm -rf "$data/node" "$data/net" "$data/programs" "$etc/node.env" "$etc/secrets/node-join-token"
    for directory in "$etc/secrets" "$etc" "$data"; do rmdir "$directory" 2>/dev/null || :; done
    say "removed; containerd and runc stay. What is left of the overlay network goes with the next start of the machine."
}

[ "$(id -u)" = 0 ] || fail "Only root can make this machine a worker; try again with sudo."
[ ! -e "$etc/ports.json" ] || fail "\`hedgerow up\` runs a node on this machine already; leave it, or use another machine."
if [ -n "$uninstall" ]; then
    remove
    exit 0
fi
[ -z "$packages" ] || install_packages
install_files
start
say "installed $programs in $bin"
if [ $# -gt 0 ]; then
    "$bin/NodeEngine" "$@"
else
    say "now join a cluster: NodeEngine join URL --token TOKEN"
fi
