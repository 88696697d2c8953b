# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# The kernel's style checkers.  Sourced by lib.sh.

make_style() {
	"$testbed/enter" "$trixie" --rw "${1%/*}" -- \
		bash -s "${1%/*}" "$1" <"$testbed/fetch-style"
}

# style_tools - print the path of a directory with checkpatch.pl, kernel-doc and
# the lists they read.
style_tools() {
	local trixie
	trixie=$(debian trixie)
	artifact style make_style "$trixie" "$testbed/fetch-style"
}
