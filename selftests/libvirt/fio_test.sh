#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Guests' disks are on one that reaches 32 bits of address only.  What fio writes there it reads
# back and verifies, with direct I/O and through the guest's page cache, by QEMU's two ways of
# I/O; and meanwhile guest pages are moved to where the disk reaches them and back, shared,
# ballooned, zipped and swapped.
#
# MRM_FIO_SECONDS: how long (default: 120).

# shellcheck disable=SC2317 # check calls what is defined here
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=fio.sh
. "$(dirname "${BASH_SOURCE[0]}")/fio.sh"

mib=128
seconds=${MRM_FIO_SECONDS:-120}
piece=24		# MiB of the disk, of each
harasser=
files=/run/mrm/swap

test_cleanup() {
	[ -z "$harasser" ] || kill "$harasser"
	guests_destroy
	[ -z "$mrmd_pid" ] || mrmd_kill
	cp "$mrmd_log" "$MRM_OUT/mrmd.log"
	wait_until 30 umount "$files"
	dmsetup remove a b 2>/dev/null
}

# job NAME OPTION... - without an end; what is wrong ends it.
job() {
	echo "$(fio_mount)" "$(fio_run "--name=$* --ioengine=psync --rw=randrw" \
		"--bsrange=4k-64k --size=$((piece - 1))m --verify=crc32c --verify_fatal=1" \
		"--verify_backlog=64 --time_based --runtime=$((seconds * 20)) --status-interval=5")"
}

bounced() {
	vm_counter_is "$1" io_bounces -gt 100
}

moved() {
	vm_counter_is "$1" io_remapped_pages -gt 0
}

# Lines of fio's: how many there are, and that none tells of an error.
fio_lines() {
	grep -c '^3;fio-' "$guest_logs/$1.log"
}

fio_is_well() {
	! grep -E '^verify:|^fio:|workload ended|Kernel panic|Out of memory' \
		"$guest_logs/$1.log" && kill -0 "$(guest_pid "$1")"
}

fio_at() {
	! fio_is_well "$1" >/dev/null || [ "$(fio_lines "$1")" -ge "$2" ]
}

goes_on() {
	wait_until "$slow" fio_at "$1" $(($(fio_lines "$1") + 2)) && fio_is_well "$1"
}

has_file() {
	wait_until 30 grep -q . "$(vm_dir "$1")/swap_file"
}

# happened COUNTER GUEST
happened() {
	vm_counter_is "$2" "$1" -gt 0
}

# Around what fio does: budget, pages taken, balloons.
harass() {
	local turn=0
	while :; do
		turn=$((turn + 1))
		echo $((turn % 3 ? 64 : turn % 2)) >"$mrm/hot_io_max"
		echo $((turn % 2 * 10)) >"$mrm/zip_max"
		echo $((8 << 20)) >"$mrm_debug/vm/$(guest_pid a)/reclaim"
		echo $((8 << 20)) >"$mrm_debug/vm/$(guest_pid b)/reclaim"
		virsh -q setmem a "$((mib - 16 * (turn % 2)))M" --live
		virsh -q setmem b "$((mib - 16 * ((turn + 1) % 2)))M" --live
		sleep 5
	done >/dev/null 2>&1
}

# One at a time: what one writes keeps a slow host from booting the other.
start_both() {
	start a && virsh -q suspend a && start b && virsh -q resume a
}

lasts() {
	local end=$((SECONDS + seconds))
	while [ "$SECONDS" -lt "$end" ]; do
		all goes_on a b || return
	done
}

test_begin '?'
if [ ! -e "$fio_disk" ]; then
	skip "fio in guests" "no $fio_disk: scripts/host --ide"
	test_end
fi
disk_mount 400 "$files" || bail "no file system"
check "mrmd starts" mrmd_start --swap "$files"
fio_begin
check "one has a piece of the disk" fio_piece a 0 "$piece"
check "the other has the next" fio_piece b "$piece" "$piece"
define a "$mib" --run "$(job direct --direct=1)" --append mrm.modules=virtio_blk,erofs \
	--devices "$(fio_devices a native)"
# What a page cache writes by itself it writes a few times a minute.
define b "$mib" --run "$(job cached --fdatasync=16)" --append mrm.modules=virtio_blk,erofs \
	--devices "$(fio_devices b io_uring)"
echo 0 >"$mrm/hot_io_threshold"
check "guests start" start_both
check "they are adopted" all "adopted $mib" a b
check "they have swap files" all has_file a b
check "what they read and write is copied" wait_until "$slow" all bounced a b
echo $((60 * patience)) >"$mrm/hot_io_period"
echo 2 >"$mrm/hot_io_threshold"
check "pages that are copied often are moved" wait_until "$slow" all moved a b
check "what was written is read" all goes_on a b
scan_at 30
harass &
harasser=$!
check "for $seconds s, whatever is done around it" lasts
kill "$harasser"
harasser=
scan_stop
for name in a b; do
	say "$name: $(vm_counter "$name" io_bounces) copies, $(vm_counter "$name" io_remapped_pages)" \
		"pages moved, $(vm_counter "$name" io_returned_pages) back," \
		"$(vm_counter "$name" shared_pages) shared, $(vm_counter "$name" zips) zipped," \
		"$(vm_counter "$name" swap_outs) swapped"
done
check "some were read from swap" all "happened swap_ins" a b
check "some were zipped" all "happened zips" a b
check "some were moved back" all "happened io_returned_pages" a b
check "some were shared" all "happened shared_pages" a b
check "some were discarded" all "happened discarded_pages" a b
check "it goes on" all goes_on a b
check "every page and frame is accounted for" consistent a b
guests_destroy
check "all is given back" wait_until 60 no_vms
test_end
