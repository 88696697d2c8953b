#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A guest of which what is in swap cannot be read: it gets what an error of its memory gives,
# and no wrong byte, nor does who dumps it; the log says what was lost; and a guest beside it
# goes on.

# shellcheck disable=SC2317 # check calls what is defined here
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mib=128
disk=lost
dump=/var/tmp/mrm-dump
sectors=$((64 << 11))

test_cleanup() {
	guests_destroy
	rm -f "$dump"
	[ ! -e "/dev/mapper/$disk" ] || wait_until 30 dmsetup remove "$disk"
	wait_until 30 rmmod brd
}

disk_is() {
	dmsetup load "$disk" --table "0 $sectors $1" && dmsetup suspend "$disk" &&
		dmsetup resume "$disk"
}

disk_make() {
	dmsetup create "$disk" --table "0 $sectors linear /dev/ram0 0" && dmsetup mknodes "$disk"
}

give() {
	case $1 in
	a) swap_give a "/dev/mapper/$disk" ;;
	b) swap_give b /dev/ram1 ;;
	esac
}

# What memcheck fills cannot be zipped, nearly all else can: so that is what is lost.
take() {
	virsh -q suspend "$1" && vm_take "$1" $((mib << 20))
	wait_until 30 vm_counter_is "$1" swapped_pages -ge 1000
}

# What it goes on with is its kernel's, which hardly can be told of an error without it; memcheck's
# memory takes longer.
comes_back() {
	virsh -q resume a && wait_until 30 vm_counter_is a swap_ins -ge 200
}

# QEMU makes a machine check of what the kernel tells it, or ends.
is_told() {
	local page
	page=$(dmesg | sed -n "s/.*VM $pid (a): slot .* the page at \(0x[0-9a-f]*\) is lost/\1/p" |
		head -n 1)
	[ -n "$page" ] || return
	grep "Memory Error at QEMU addr $page .* BUS_MCEERR_AR injected" \
		/var/log/libvirt/qemu/a.log || ! kill -0 "$pid"
}

# What becomes of it then depends on what it was about to do.
show_end() {
	say "$(virsh -q domstate a), $(grep -c '^memcheck: pass' "$guest_logs/a.log") passes"
	tail -n 5 "$guest_logs/a.log" | while read -r line; do say "$line"; done
}

log_says() {
	dmesg | grep -E "VM $pid \(a\): slot [0-9]+ of $disk cannot be read .*: the page at 0x[0-9a-f]+ is lost"
}

nothing_wrong() {
	! grep WRONG "$guest_logs/a.log"
}

came_back() {
	vm_counter_is b swap_ins -ge $((ins + 1000))
}

starts_again() {
	start a && pid=$(guest_pid a) && adopted "$mib" a && give a && memcheck_goes_on a && take a
}

dump_fails() {
	! timeout "$slow" virsh -q dump --memory-only a "$dump"
}

unloads() {
	module_unload && module_load
}

test_begin '?'
{ modprobe brd rd_nr=2 rd_size=65536 && modprobe dm_mod && disk_make; } || bail "no disks"
echo 0 >"$mrm/share_cpu_max"
echo 50 >"$mrm/zip_max"
define a "$mib" --run 'memcheck -i 300 40' --devices "<memballoon model='none'/>"
define b "$mib" --run 'memcheck -s 2 -i 300 40' --devices "<memballoon model='none'/>"
check "two guests start" start a b
pid=$(guest_pid a)
check "they are adopted" all "adopted $mib" a b
check "they have swap" all give a b
check "their memory is right" all memcheck_goes_on a b
check "much of it is swapped" all take a b
ins=$(vm_counter b swap_ins)
check "one goes on" comes_back
check "its disk cannot be read" disk_is error
check "the other goes on" virsh -q resume b
check "the first is told" wait_until "$slow" is_told
check "the log names VM, file and page" log_says
check "no wrong byte was read" nothing_wrong
check "the memory of the other is right" memcheck_goes_on b
check "also what was in swap" came_back
show_end
virsh -q destroy a 2>/dev/null
check "the first is gone" wait_until 30 not_listed "$pid"
check "the disk is well again" disk_is "linear /dev/ram0 0"
check "it is started again, and much of it is swapped" starts_again
check "the disk cannot be read" disk_is error
check "a dump fails" dump_fails
check "the log names VM, file and page" log_says
virsh -q destroy a 2>/dev/null
check "it is gone" wait_until 30 not_listed "$pid"
check "the memory of the other is right" memcheck_goes_on b
check "every page and frame is accounted for" consistent b
guests_destroy
check "all is given back" wait_until 60 no_vms
check "nobody has the disk open" wait_until 30 dmsetup remove "$disk"
check "the module can be unloaded" wait_until 30 unloads
test_end
