# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the kernel says when it, or our module, is broken.  Sourced by scripts/host for
# the console, and by selftests/run, in the host, for the log between tests.

complaint='\<BUG\>|Oops|\<WARNING\>|KASAN|DEBUG_LOCKS|unable to handle|\<int3\>|Kernel panic'
complaint+='|INFO: task .* blocked|possible (recursive|circular)|rcu.*stall|kmemleak: [0-9]+ new'
complaint+='|memory leak detector disabled|Cannot allocate a kmemleak_object'

# complaints FILE - print the lines of a log that complain.  The kernel has data races
# of its own; those count that have a function of ours on one side.
complaints() {
	grep -E "$complaint" "$1" | sed '/BUG: KCSAN:/{/\[kvm_mrm\]/!d}' | grep .
}
