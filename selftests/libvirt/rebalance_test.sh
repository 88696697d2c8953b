#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Two guests whose balloons are on their way to their targets when mrmd is killed,
# libvirt restarted, or one of the guests stopped: no byte is lost, the targets are
# reached afterwards, and mrmd says what happened.

# shellcheck disable=SC2317 # check calls what is defined here
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mib=160
near=$((2 << 20)) # bytes: as near as a balloon comes to a target that moves a little

test_cleanup() {
	[ -z "$mrmd_pid" ] || mrmd_kill
	cp "$mrmd_log" "$MRM_OUT/mrmd.log"
}

balloon_is_ok() {
	vm_text_is "$1" balloon_state ok
}

at_target() {
	local target least=${2:-$((8 << 20))}
	target=$(vm_counter "$1" balloon_target_bytes)
	is "$target" -ge "$least" &&
		vm_counter_is "$1" balloon_bytes -ge $((target - near)) &&
		vm_counter_is "$1" balloon_bytes -le $((target + near))
}

reaches() {
	wait_until 120 all at_target "$@"
}

# One that was stopped finds that the other has given most of it, and gives the rest: nobody
# has to give more.
gives_the_rest() {
	[[ $(cat "$mrm/state") = @(high|clear) ]] && at_target "$1"
}

# Of those that nobody drove for long, as libvirt was away, the host has taken what was nothing
# but zeroes: they may have to give nothing more at all.
gives_what_is_left() {
	[[ $(cat "$mrm/state") = @(high|clear) ]] && at_target "$1" 0
}

# On its way: it holds something, and not nearly what it should.
on_its_way() {
	local held target
	held=$(vm_counter "$1" balloon_bytes) target=$(vm_counter "$1" balloon_target_bytes)
	is "$held" -gt 0 && is "$held" -lt $((target - 2 * near))
}

# rebalance - memory for eight tenths of what the guests have, so that none runs out of
# memory; until a balloon is on its way.
rebalance() {
	local have
	have=$(($(vm_counter a consumed_bytes) + $(vm_counter b consumed_bytes)))
	echo $((have * 8 / 10)) >"$mrm/limit_bytes"
	wait_until 30 on_its_way a
}

# What the host shares when memory is short no balloon is asked for either.
unshared() {
	echo 0 >"$(vm_dir "$1")/share"
}

# squeezed - two new guests, whose balloons are on their way.  New ones each time: what
# a guest gave back once it does not touch again, so there is nothing to take.
squeezed() {
	echo 0 >"$mrm/limit_bytes"
	guests_destroy
	# They fill all of their memory, and keep some.
	define a "$mib" --run 'memcheck -t -i 2000 24'
	define b "$mib" --run 'memcheck -t -s 2 -i 2000 24'
	start a b && all unshared a b && all memcheck_goes_on a b &&
		wait_until 60 all balloon_is_ok a b && rebalance
}

# held GUEST - bytes in its balloon, as the guest has them, mrmd or not.
held() {
	echo $(((mib << 20) - ($(guest_actual_kib "$1") << 10)))
}

# Nobody drives the balloons: they hold what they held.
kept() {
	local before
	before=$(held a)
	is "$before" -gt 0 && memcheck_goes_on a 1 && is "$(held a)" -ge "$before"
}

says() {
	wait_until 30 grep -E "$1" "$mrmd_log" && grep -E "$1" "$mrmd_log" | tail -n 3
}

restarts_libvirt() {
	libvirt_stop && libvirt_start
}

empty() {
	vm_counter_is a balloon_bytes -eq 0 && vm_counter_is b balloon_bytes -eq 0
}

lets_go() {
	echo 0 >"$mrm/limit_bytes"
	wait_until 120 empty && all memcheck_goes_on a b
}

test_begin '?'
echo 5 >"$mrm/balance_period"
# What the host takes by itself no balloon is asked for.
echo 0 >"$mrm/zip_max"
# shellcheck disable=SC2119 # with its defaults
mrmd_start || bail "mrmd does not start"

check "less memory than two guests have: their balloons grow" squeezed
check "kill -9 of mrmd in the middle" mrmd_kill
check "what the balloons have they keep" kept
check "mrmd starts again" mrmd_start
check "and says whom it finds" says 'connected to libvirt, where 2 guests run'
check "and both reach their targets" reaches a b
check "no byte is lost" all memcheck_goes_on a b

check "two others: their balloons grow" squeezed
check "libvirt is restarted in the middle" restarts_libvirt
check "both reach their targets" wait_until 120 all gives_what_is_left a b
check "mrmd says that libvirt was away" says 'the connection to libvirt is lost'
check "no byte is lost" all memcheck_goes_on a b

check "two others: their balloons grow" squeezed
check "one guest's vCPUs are stopped in the middle" virsh -q suspend a
check "the other reaches its target" reaches b
check "the stopped one is known not to follow" \
	wait_until 60 vm_text_is a balloon_state unresponsive
check "which mrmd says" says 'guest a: .*balloon'
check "it goes on" virsh -q resume a
check "and reaches its target" wait_until 120 gives_the_rest a
check "no byte is lost" all memcheck_goes_on a b

check "memory for all again" lets_go
check "mrmd ends" mrmd_end
test_end
