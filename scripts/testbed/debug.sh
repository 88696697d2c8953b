# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Kernels that check themselves: Debian's 6.12 source with a small configuration.
# Sourced by lib.sh.

make_debug() {
	mkdir "$1"
	"$testbed/enter" "$trixie" --ro "$tree/scripts" --rw "$1" -- \
		bash -s "$1" "${fragments[@]}" <"$testbed/build-debug"
	mkdir "$1/mnt"
}

# debug_kernel NAME - print the path of a directory with kernel/, as in a Debian
# tree, and headers/ to build modules with.  NAME is debug, or kcsan.
debug_kernel() {
	local trixie contents fragments=("$tree/scripts/debug-kernel.config")
	[ "$1" = debug ] || fragments+=("$tree/scripts/$1-kernel.config")
	trixie=$(debian trixie)
	# Their contents, as inputs_hash reads only files of the test bed.
	contents=$(cat "${fragments[@]}")
	artifact "$1" make_debug "$trixie" "$contents" "$testbed/build-debug"
}
