#!/bin/sh
# @NAME@ @VERSION@ for @ARCHITECTURE@. Unpacks itself once, into a directory named by what is in it, and runs from
# there: nothing is left in /tmp, and the next start is one exec. HEDGEROW_PROGRAMS names another place.
set -eu
name=@NAME@ digest=@DIGEST@ offset=@OFFSET@

fail() {
    printf '%s: %s\n' "$name" "$*" >&2
    exit 1
}

# Nobody else may be able to put something there.
check() {
    if [ ! -O "$1" ] || [ -n "$(find "$1" -prune -perm /022)" ]; then
        fail "$1 belongs to somebody else or can be changed by others, so nothing in it is run; name another place in HEDGEROW_PROGRAMS."
    fi
}

in_use() {
    for process in /proc/[0-9]*/exe; do
        case $(readlink "$process" 2>/dev/null || :) in "$1"/*) return 0 ;; esac
    done
    return 1
}

# Others may do the same at the same time, and the power may go at any time: a place appears whole or not at all.
unpack() {
    (umask 022 && mkdir -p "$base") || fail "cannot make $base; name another place in HEDGEROW_PROGRAMS."
    check "$base"
    new=$(mktemp -d "$base/.$name.XXXXXX") || fail "cannot write to $base; name another place in HEDGEROW_PROGRAMS."
    trap 'rm -rf "$new"' EXIT
    trap 'exit 1' HUP INT TERM
    tail -c "+$offset" "$self" | tar -xzf - --no-same-owner -C "$new" ||
        fail "cannot unpack $self to $base: it is not whole, or there is no room (@SIZE@ MB)."
    chmod 755 "$new"
    sync
    mv -T "$new" "$place" 2>/dev/null || [ -x "$place/$name" ] || fail "cannot make $place."
    for old in "$base/$name"-*; do
        [ "$old" = "$place" ] || in_use "$old" || rm -rf "$old"
    done
    # What a start left behind that the power ended.
    find "$base" -maxdepth 1 -name ".$name.*" -mmin +60 -exec rm -rf {} +
    rm -rf "$new"
    trap - EXIT HUP INT TERM
}

self=$(readlink -f -- "$0")
shared=/var/lib/hedgerow/programs
if [ -n "${HEDGEROW_PROGRAMS:-}" ]; then
    base=$HEDGEROW_PROGRAMS
elif [ "$(id -u)" = 0 ] || [ -x "$shared/$name-$digest/$name" ]; then
    base=$shared
else
    base=${XDG_CACHE_HOME:-${HOME:?}/.cache}/hedgerow
fi
place=$base/$name-$digest
[ -x "$place/$name" ] || unpack
# What is in root's own place, root has checked.
[ "$base" = "$shared" ] || check "$base"
HEDGEROW_EXECUTABLE=$self exec "$place/$name" "$@"
