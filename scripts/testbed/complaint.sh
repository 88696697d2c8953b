# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# What the kernel says when it, or our module, is broken: an extended regular
# expression.  Sourced by scripts/host for the console, and by selftests/run, in the
# host, for the log between tests.

complaint='\<BUG\>|Oops|\<WARNING\>|KASAN|DEBUG_LOCKS|unable to handle|\<int3\>|Kernel panic'
complaint+='|INFO: task .* blocked|possible (recursive|circular)|rcu.*stall|kmemleak: [0-9]+ new'
