#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Guests that end, are ended, start again and stand still; and guests that ran
# before the module was loaded.

# shellcheck disable=SC2317 # check calls what is defined here
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mib=128

refused() {
	! rmmod kvm_mrm && [ -e "$mrm/vms" ]
}

boots() {
	grep -c '^mrm-guest: ready' "$guest_logs/$1.log"
}

booted_again() {
	is "$(boots "$1")" -gt "$2"
}

reset() {
	local before
	before=$(boots "$1")
	virsh -q reset "$1" && wait_until 90 booted_again "$1" "$before"
}

gone() {
	! kill -0 "$1"
}

# By whatever means, QEMU has ended.
ended() {
	wait_until 30 gone "$1" && wait_until 30 not_listed "$1"
}

shut_off() {
	equal "$(virsh -q domstate "$1")" "shut off"
}

# kill_9 NAME - kill QEMU, and wait until libvirt has seen it.
kill_9() {
	local pid
	pid=$(guest_pid "$1")
	kill -9 "$pid" && ended "$pid" &&
		wait_until 30 shut_off "$1"
}

destroy() {
	local pid
	pid=$(guest_pid "$1")
	virsh -q destroy "$1" && ended "$pid"
}

stand_still() {
	local passes
	virsh -q suspend "$1" || return
	scan_rounds 2 || return
	passes=$(memcheck_passes "$1")
	equal "$(virsh -q domstate "$1")" paused &&
		vm_counter_is "$1" shared_pages -gt 1000 &&
		virsh -q resume "$1" &&
		is "$(memcheck_passes "$1")" -le $((passes + 1))
}

listed_as_late() {
	equal "$(vm_counter "$1" name)" "$1" &&
		equal "$(vm_counter "$1" not_adopted_reason)" "started before the module" &&
		vm_counter_is "$1" adopted_bytes -eq 0 &&
		vm_counter_is "$1" not_adopted_bytes -ge $((mib << 20)) &&
		vm_counter_is "$1" resident_pages -eq 0
}

test_begin 21
for name in a b; do
	define "$name" "$mib" --run 'memcheck -i 300 40'
	virsh -q set-lifecycle-action "$name" reboot restart --config
done
module_unload || bail "the module does not unload"

check "a guest starts without the module" start a
check "the module is loaded late" module_load
check "the guest is listed" listed_as_late a
scan_flat_out
check "and unharmed" memcheck_goes_on a
scan_stop
check "the module can be unloaded" module_unload
check "that does not harm the guest" memcheck_goes_on a
check "the module is loaded again" module_load
check "destroy a guest that was there before" destroy a

check "it starts again, and another" start a b
check "both are adopted" all "adopted $mib" a b
check "the module cannot be unloaded" refused
scan_flat_out
check "their memory is right" all memcheck_goes_on a b
check "kill -9 of QEMU" kill_9 b
scan_stop
check "suspended, a guest is shared and stands still" stand_still a
check "resumed, its memory is right" memcheck_goes_on a
check "reset" reset a
check "adopted after a reset" adopted "$mib" a
check "its memory is right after a reset" memcheck_goes_on a
check "every page and frame is accounted for" consistent a
check "destroy" destroy a
check "all is given back, and the module is unloaded" eval 'wait_until 30 no_vms && module_unload'
module_load
test_end
