#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Save and restore, dumps, and snapshots with memory, of a guest that shares.

# shellcheck disable=SC2317 # check calls what is defined here
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mib=128
# On the root's overlay: it goes away with the test host.
files=/var/tmp/mrm-save
# What QEMU and KVM may touch for themselves.
slack=64

# The guest stands still, and there are parts of its memory that it never touched:
# to read all of it must cost no frames.
dump() {
	local before after
	before=$(vm_counter a private_pages)
	virsh -q dump --memory-only a "$1" || return
	after=$(vm_counter a private_pages)
	echo "private pages $before -> $after, resident $(vm_counter a resident_pages)"
	is $((after - before)) -le "$slack"
}

never_touched() {
	vm_counter_is a resident_pages -le $(((mib << 8) - $1))
}

share() {
	echo "$1" >"$(vm_dir a)/share"
}

zip_half() {
	echo 50 >"$mrm/zip_max"
	vm_take a $((mib << 19))
	vm_counter_is a zipped_pages -ge 1000
}

# All of guest RAM and little else.
dump_size() {
	local size
	size=$(stat -c %s "$1")
	is "$size" -ge $((mib << 20)) && is "$size" -lt $(((mib + 32) << 20))
}

save() {
	virsh -q save a "$files/saved" && wait_until 60 no_vms
}

snapshot() {
	virsh -q snapshot-create-as a "$@"
}

revert() {
	virsh -q snapshot-revert a "$1" --running
}

test_begin 23
mkdir -p "$files"
qemu-img create -q -f qcow2 "$files/disk.qcow2" 64M
define a "$mib" --run 'memcheck -i 300 40' --devices \
	"<disk type='file'><driver name='qemu' type='qcow2'/><source file='$files/disk.qcow2'/>
	<target dev='vda' bus='virtio'/></disk>"

check "a guest starts" start a
check "its memory is right" memcheck_goes_on a
virsh -q suspend a
check "pages are shared" eval 'scan_rounds 3 && shares a 2000'
check "not all of its memory was touched" never_touched 2000
check "a dump while it shares costs no memory" dump "$files/shared"
check "it has the expected size" dump_size "$files/shared"
check "sharing ends" eval 'share 0 && vm_counter_is a shared_pages -eq 0'
virsh -q dump --memory-only a "$files/private"
check "the dump is the same without" cmp "$files/shared" "$files/private"
check "half of its memory is zipped" zip_half
virsh -q dump --memory-only a "$files/zipped"
check "the dump is the same then" cmp "$files/zipped" "$files/private"
rm -f "$files/shared" "$files/private" "$files/zipped"
share 1
virsh -q resume a
check "its memory is right" memcheck_goes_on a

scan_flat_out
check "save gives everything back" save
check "restore" virsh -q restore "$files/saved"
check "adopted after restore" adopted "$mib" a
check "its memory is right after restore" memcheck_goes_on a
check "it shares again" shares a 2000
rm -f "$files/saved"

check "a snapshot with memory" snapshot inside
check "its memory is right" memcheck_goes_on a
check "go back to the snapshot" revert inside
check "adopted after that" adopted "$mib" a
check "its memory is right after that" memcheck_goes_on a
scan_stop
check "every page and frame is accounted for" consistent a
virsh -q snapshot-delete a inside
guests_destroy
rm -rf "$files"
check "all is given back" wait_until 30 no_vms
test_end
