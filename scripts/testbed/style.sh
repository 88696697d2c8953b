# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# The kernel's style checkers, and promtool.  Sourced by lib.sh.

make_style() {
	"$testbed/enter" "$trixie" --rw "${1%/*}" -- \
		bash -s "${1%/*}" "$1" <"$testbed/fetch-style"
}

# style_tools - print the path of a directory with checkpatch.pl, kernel-doc,
# the lists they read, and promtool.
style_tools() {
	local trixie
	trixie=$(debian trixie)
	artifact style make_style "$trixie" "$testbed/fetch-style"
}
