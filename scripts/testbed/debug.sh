# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# The debug kernel: Debian's 6.12 source with a small configuration that checks
# itself.  Sourced by lib.sh.

make_debug() {
	mkdir "$1"
	"$testbed/enter" "$trixie" --ro "$tree/scripts" --rw "$1" -- \
		bash -s "$tree/scripts/debug-kernel.config" "$1" <"$testbed/build-debug"
	mkdir "$1/mnt"
}

# debug_kernel - print the path of a directory with kernel/, as in a Debian tree,
# and headers/ to build modules with.
debug_kernel() {
	local trixie config
	trixie=$(debian trixie)
	# Its contents, as inputs_hash reads only files of the test bed.
	config=$(<"$tree/scripts/debug-kernel.config")
	artifact debug make_debug "$trixie" "$config" "$testbed/build-debug"
}
