#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Guest RAM that must not be adopted, or not be shared: such guests start, run,
# and are listed with the reason.

# shellcheck disable=SC2317 # check calls what is defined here
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mib=128

# left_alone REASON NAME - nothing was adopted, for this reason.
left_alone() {
	vm_counter_is "$2" adopted_bytes -eq 0 &&
		equal "$(vm_counter "$2" not_adopted_reason)" "$1" &&
		vm_counter_is "$2" not_adopted_bytes -ge $((mib << 20)) &&
		vm_counter_is "$2" not_adopted_bytes -lt $(((mib + 4) << 20)) &&
		vm_counter_is "$2" resident_pages -eq 0
}

kind() {
	define "$1" "$mib" --run 'memcheck -i 300 24' --domain "$2"
}

balloon_works() {
	balloon "$1" $(((mib - 8) << 10)) && memcheck_goes_on "$1"
}

huge_pages() {
	sed -n "s/^HugePages_$1: *//p" /proc/meminfo
}

huge_pages_used() {
	is $(($(huge_pages Total) - $(huge_pages Free))) -eq $((mib / 2))
}

no_huge_pages() {
	is "$(huge_pages Total)" -eq 0
}

locked_kib() {
	sed -n 's/^VmLck:\s*\([0-9]*\) kB/\1/p' "/proc/$(guest_pid "$1")/status"
}

# QEMU locks its memory only when KVM knows of it, and then it is adopted.  It
# must be all there, and stay so: never shared.
stays_locked() {
	is "$(locked_kib "$1")" -ge $((mib << 10)) &&
		vm_counter_is "$1" resident_pages -eq $((mib << 8)) &&
		vm_counter_is "$1" private_pages -eq $((mib << 8)) &&
		equal "$(vm_counter "$1" share_state)" locked
}

test_begin 14
if ! mountpoint -q /dev/hugepages; then
	mkdir -p /dev/hugepages
	mount -t hugetlbfs hugetlbfs /dev/hugepages
	# libvirt looks for it when it starts.
	libvirt_stop
	libvirt_start
fi
echo $((mib / 2)) >/proc/sys/vm/nr_hugepages

kind huge '<memoryBacking><hugepages/></memoryBacking>'
kind shared '<memoryBacking><source type="memfd"/><access mode="shared"/></memoryBacking>'

scan_flat_out
check "guests start: huge pages, memfd" start huge shared
check "they have huge pages" huge_pages_used
check "huge pages are left alone" left_alone "hugetlb pages" huge
check "memfd is left alone" left_alone "memfd or another file" shared
check "their memory is right" all memcheck_goes_on huge shared
check "the balloon works" balloon_works shared
guests_destroy

kind locked '<memtune><hard_limit unit="MiB">2048</hard_limit></memtune>
	<memoryBacking><locked/></memoryBacking>'
kind immediate '<memoryBacking><allocation mode="immediate"/></memoryBacking>'
kind bound '<numatune><memory mode="strict" nodeset="0"/></numatune>'
check "guests start: locked, allocated at once, bound" start locked immediate bound
check "what was allocated is left alone" left_alone "populated before KVM knew of it" immediate
check "what is bound is left alone" left_alone "bound to NUMA nodes" bound
check "their memory is right" all memcheck_goes_on locked immediate bound
check "what is locked is resident and private" stays_locked locked
check "the balloon works" all balloon_works immediate bound
guests_destroy

check "all is given back" wait_until 30 no_vms
check "and the huge pages" eval 'echo 0 >/proc/sys/vm/nr_hugepages && no_huge_pages'
scan_stop
test_end
