# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the scripts of the test host share: messages, and the cache with its
# artifacts.  Sourced, never run.

set -euo pipefail
shopt -s inherit_errexit

# The physical path: it is the one that appears in compiler messages and the
# one that is mounted in the host.
testbed=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck disable=SC2034 # for those who source this
tree=$(cd "$testbed/../.." && pwd -P)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kvm-mrm

say() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
}

die() {
	say "$*"
	exit 2
}

need_root() {
	[ "$(id -u)" = 0 ] ||
		die "must be run as root: it enters other Debian trees with chroot"
}

# The kernels there are.  "debug" and "kcsan" are built from source, see debug.sh.
known_kernel() {
	case $1 in
	6.1 | 6.12 | 7.2 | debug | kcsan) ;;
	*) die "no such kernel: $1 (there are 6.1, 6.12, 7.2, debug and kcsan)" ;;
	esac
}

# tree_files - the files of the working tree, one a line.  Only what git knows or
# would add, so that what somebody built in the tree stays out; without git,
# everything.
tree_files() (
	cd "$tree"
	if ! git -c safe.directory="$tree" ls-files -co --exclude-standard 2>/dev/null; then
		find . -name .git -prune -o -type f -printf '%P\n'
	fi | while read -r file; do
		if [ -f "$file" ]; then
			printf '%s\n' "$file"
		fi
	done | sort -u
)

# inputs_hash FUNCTION [FILE|STRING]... - name an artifact by what it is made
# from: the text of the function that makes it, files, and the paths of other
# artifacts (which carry their own hash).
inputs_hash() {
	local input
	for input; do
		if [ -f "$input" ] && [[ $input == "$testbed"/* ]]; then
			cat "$input"
		elif declare -f "$input"; then
			:
		else
			printf '%s\n' "$input"
		fi
	done | sha256sum | cut -c1-12
}

# artifact NAME FUNCTION [INPUT]... - print the path of an artifact, making it
# first when it is not there.  FUNCTION is called with the path to fill, which
# gets its name only when complete; two callers never make the same thing.
artifact() {
	local name=$1 make=$2 path lock tmp start
	shift 2
	path=$cache/$name-$(inputs_hash "$make" "$@")
	if [ ! -e "$path" ]; then
		mkdir -p "$cache"
		exec {lock}>"$cache/$name.lock"
		flock "$lock"
		if [ ! -e "$path" ]; then
			need_root
			say "making $name (once) ..."
			start=$SECONDS
			tmp=$(mktemp -d "$cache/.making-$name.XXXXXX")
			chmod 755 "$tmp"
			# Not "if ! ($make)": that would switch off errexit in it.
			("$make" "$tmp/result" "$path") \
				>"$tmp/log" 2>&1 </dev/null {lock}>&- &
			if ! wait $!; then
				rm -rf "$tmp/result"
				tail -n 30 "$tmp/log" >&2
				die "making $name failed; all of its log: $tmp/log"
			fi
			mv -T "$tmp/result" "$path"
			rm -rf "$tmp"
			say "made $name in $((SECONDS - start)) s"
		fi
		exec {lock}>&-
	fi
	printf '%s\n' "$path"
}

# shellcheck source=debian.sh
. "$testbed/debian.sh"
# shellcheck source=kernel.sh
. "$testbed/kernel.sh"
# shellcheck source=debug.sh
. "$testbed/debug.sh"
# shellcheck source=style.sh
. "$testbed/style.sh"
# shellcheck source=packaging.sh
. "$testbed/packaging.sh"
