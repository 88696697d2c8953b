#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Ballooned pages, and pages the guest reports free, come back one for one, and
# no other page goes with them; large pages too.

# shellcheck disable=SC2317 # check calls what is defined here
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mib=160
full=$((mib << 10))
pages=4096
target=$((full - pages * 4))

# Counts first touches: guest pages that got a frame.
trace=/sys/kernel/tracing/events/mrm/mrm_fault
first_touches='hist:keys=pid if populated == 1'

# What the guest's kernel says: pages inflated and migrated, which inflates
# another and deflates one.
guest_inflated() {
	sed -n 's/^memcheck: balloon inflated \([0-9]*\) .* migrated \([0-9]*\).*/\1 \2/p' \
		"$guest_logs/$1.log" | tail -n 1
}

# account NAME - of a guest that stands still: "resident discarded touched", and
# "inflated migrated" as it said before that and after.
account() {
	local pid before
	pid=$(guest_pid "$1")
	memcheck_goes_on "$1" >/dev/null && before=$(guest_inflated "$1") &&
		virsh -q suspend "$1" &&
		echo "$(vm_counter "$1" resident_pages) $(vm_counter "$1" discarded_pages)" \
			"$(sed -n "s/^{ pid: *$pid } hitcount: *//p" "$trace/hist")" \
			"${before:-0 0}" &&
		virsh -q resume "$1" && memcheck_goes_on "$1" 1 >/dev/null &&
		guest_inflated "$1"
}

# moves NAME KIB DISCARDS - move the balloon; so many guest pages must be given
# back, exactly, and those that the guest migrated meanwhile.  The guest's kernel
# zeroes every page that it allocates, so each one that the balloon takes had a
# frame.  The other guest leaves it the processor.
moves() {
	local before after discarded
	virsh -q suspend b
	read -ra before -d '' < <(account "$1")
	balloon "$1" "$2" || { virsh -q resume b; return 1; }
	read -ra after -d '' < <(account "$1")
	virsh -q resume b
	discarded=$((after[1] - before[1]))
	echo "resident ${before[0]} -> ${after[0]}," \
		"discarded $discarded, touched $((after[2] - before[2]))," \
		"the guest migrated $((after[4] - before[4]))"
	is $((after[3] - before[3])) -eq "$3" &&
		is "$discarded" -ge $(($3 + after[4] - ${before[6]:-0})) &&
		is "$discarded" -le $(($3 + after[6] - before[4])) &&
		is $((after[0] - before[0])) -eq $((after[2] - before[2] - discarded))
}

# What the guest frees it reports, and what it reports is given back.
reports() {
	local before
	before=$(vm_counter "$1" discarded_pages)
	wait_until "$slow" vm_counter_is "$1" discarded_pages -ge $((before + 1024)) || return
	echo "discarded $(($(vm_counter "$1" discarded_pages) - before))"
}

test_begin 23
echo "$first_touches" >"$trace/trigger"
define a "$mib" --run 'memcheck -t -s 1 -c 8 -i 300 24' --append transparent_hugepage=never
# This one gives free pages back by itself.
define b "$mib" --run 'memcheck -t -s 2 -c 8 -i 300 24' \
	--append 'page_reporting.page_reporting_order=0' \
	--devices "<memballoon model='virtio' freePageReporting='on'/>"

scan_stop
check "guests start" start a b
check "they are adopted" all "adopted $mib" a b
check "they use all their memory" all memcheck_goes_on a b

check "not shared: 16 MiB inflated are 4096 pages given back" moves a "$target" "$pages"
check "free pages that a guest reports are given back" reports b
check "no other page was lost" all memcheck_goes_on a b
check "deflated, they are touched again" moves a "$full" 0

# What guests write is shared again at once otherwise, and they get nowhere.
scan_at 30
check "pages are shared" shares a 2048
check "shared: 16 MiB inflated are 4096 pages given back" moves a "$target" "$pages"
check "reported pages are given back" reports b
check "no other page was lost" all memcheck_goes_on a b
check "deflate" moves a "$full" 0
check "the guests use what they got" all memcheck_goes_on a b
scan_stop
check "every page and frame is accounted for" consistent a b

guests_destroy
check "all is given back" wait_until 60 no_vms

# A guest reports what it frees in pieces of 2 MiB by itself: each is a large page, whole.  It
# does so while more than 64 MiB are free.
echo 1 >"$mrm/alloc_guest_large_page"
define c 256 --append transparent_hugepage=never \
	--run 'dd if=/dev/zero of=/file bs=1M count=48; rm /file; memcheck -t -s 3 -c 8 -i 300 24' \
	--devices "<memballoon model='virtio' freePageReporting='on'/>"
check "a guest with large pages starts" start c
check "it uses its memory" memcheck_goes_on c
check "it is in large pages" vm_counter_is c large_pages -gt 10
check "what it freed is given back" \
	wait_until "$slow" vm_counter_is c discarded_pages -ge $((32 * 256))
check "by large pages, of which none was broken" vm_counter_is c large_pages_broken -eq 0
check "no other page was lost" memcheck_goes_on c
check "every page and frame is accounted for" consistent c
guests_destroy
check "all is given back, again" wait_until 60 no_vms
echo "${MRM_LARGE:-0}" >"$mrm/alloc_guest_large_page"
echo "!$first_touches" >"$trace/trigger"
test_end
