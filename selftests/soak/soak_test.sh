#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Guests boot, work, balloon, are taken from, die and are replaced, under scanning, with large
# pages and without, for MRM_SOAK_MINUTES.  What is done to which guest is drawn from a seed, which is
# printed; MRM_SOAK_SEED sets it.  After each step every guest has verified its
# memory, and every few steps the module recounts every page (debugfs check).

# shellcheck disable=SC2317,SC2329 # check calls what is defined here
# shellcheck source=../libvirt/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../libvirt/lib.sh"

minutes=${MRM_SOAK_MINUTES:-10}
seed=${MRM_SOAK_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
RANDOM=$seed
end=$((SECONDS + minutes * 60))
slots=(0 1 2)
recount_every=4
# Three guests and the scanner have one processor.
# shellcheck disable=SC2034 # of scripts/libvirt.sh
patience=$((3 * MRM_PATIENCE)) guest_bound=$((300 * MRM_PATIENCE))

# The guest of each slot, and its memory in MiB.
declare -A guest mib
lives=0 steps=0 recounts=0

# draw N - sets drawn, below N.  Not by its output: a subshell has its own RANDOM.
draw() {
	drawn=$((RANDOM % $1))
}

# A guest whose memory is partly that of all others, and which goes through all of
# it again and again, with pauses in which others get to boot: there is one processor.
# Half of them report what is free.
new_guest() {
	local slot=$1 name options=()
	lives=$((lives + 1))
	name=g$lives
	draw 4
	mib[$slot]=$((128 + drawn * 16))
	draw 2
	if [ "$drawn" = 1 ]; then
		options=(--append 'page_reporting.page_reporting_order=0'
			--devices "<memballoon model='virtio' freePageReporting='on'/>")
	fi
	guest[$slot]=$name
	define "$name" "${mib[$slot]}" --run "memcheck -s $lives -c 4 -i 3000 30" "${options[@]}"
}

boot() {
	start "${guest[$1]}" && adopted "${mib[$1]}" "${guest[$1]}" && goes_on "${guest[$1]}"
}

goes_on() {
	memcheck_goes_on "$1" 1
}

all_go_on() {
	all goes_on "${guest[@]}"
}

# forget NAME - of a guest that is gone.
forget() {
	local name names=()
	guest_destroy "$1" || return
	for name in "${test_guests[@]}"; do
		[ "$name" = "$1" ] || names+=("$name")
	done
	test_guests=("${names[@]}")
}

ends_by_sigkill() {
	local pid
	pid=$(guest_pid "$1") && kill -9 "$pid" && wait_until 60 not_listed "$pid" && forget "$1"
}

ends_by_itself() {
	local pid
	pid=$(guest_pid "$1") && guest_shutdown "$1" && wait_until 60 not_listed "$pid" &&
		forget "$1"
}

is_destroyed() {
	local pid
	pid=$(guest_pid "$1") && forget "$1" && wait_until 60 not_listed "$pid"
}

# Stopped as a whole, not only its vCPUs, for a full scan of the others or so.
stands_still() {
	local pid scanned=1
	pid=$(guest_pid "$1") && kill -STOP "$pid" || return
	wait_until 60 counter_is full_scans -gt "$(counter full_scans)" || scanned=
	kill -CONT "$pid" && [ -n "$scanned" ]
}

shares_nothing_for_a_while() {
	echo 0 >"$(vm_dir "$1")/share" && vm_counter_is "$1" shared_pages -eq 0 &&
		echo 1 >"$(vm_dir "$1")/share"
}

# Half of the time a salt that another guest may have got, too.
gets_a_salt() {
	draw 2
	echo "salt$drawn" >"$(vm_dir "$1")/salt"
}

# A quarter of it is shared or zipped, as when memory is short.
gives_unasked() {
	local zips
	zips=$(vm_counter "$1" zips)
	echo $((mib[slot] << 18)) >"$mrm_debug/vm/$(guest_pid "$1")/reclaim" &&
		vm_counter_is "$1" zips -gt "$zips"
}

# Those to come, and what this one has not touched yet.
large_pages() {
	local on=$((1 - $(<"$mrm/alloc_guest_large_page")))
	echo "$on" >"$mrm/alloc_guest_large_page"
}

# One thing is done to one guest, and all of them must get on.
step() {
	local slot name
	steps=$((steps + 1))
	draw ${#slots[@]}
	slot=$drawn
	name=${guest[$slot]}
	draw 12
	case $drawn in
	0 | 1 | 2 | 3)
		draw 33
		check "$steps: $name balloons by $drawn MiB" \
			balloon "$name" $(((mib[$slot] - drawn) << 10))
		;;
	4) check "$steps: $name stands still" stands_still "$name" ;;
	5) check "$steps: $name shares nothing" shares_nothing_for_a_while "$name" ;;
	6) check "$steps: $name gets a salt" gets_a_salt "$name" ;;
	10) check "$steps: $name is taken from" gives_unasked "$name" ;;
	11) check "$steps: large pages or no more" large_pages ;;
	*)
		case $drawn in
		7) check "$steps: $name is killed" ends_by_sigkill "$name" ;;
		8) check "$steps: $name powers off" ends_by_itself "$name" ;;
		9) check "$steps: $name is destroyed" is_destroyed "$name" ;;
		esac
		new_guest "$slot"
		check "$steps: ${guest[$slot]} is there instead, and works" boot "$slot"
		;;
	esac
	check "$steps: no byte is wrong in ${guest[*]}" all_go_on
	if [ $((steps % recount_every)) = 0 ]; then
		recounts=$((recounts + 1))
		check "$steps: every page and frame is accounted for" consistent "${guest[@]}"
	fi
}

test_begin '?'
say "seed $seed, $minutes minutes"
# All the time, but guests should get on as well: there is one processor.
scan_at 20
for slot in "${slots[@]}"; do
	new_guest "$slot"
	check "${guest[$slot]} boots and works" boot "$slot"
done
while [ "$SECONDS" -lt "$end" ] && [ "$test_failures" = 0 ]; do
	step
	say "$(((end - SECONDS + 59) / 60)) minutes to go," \
		"$(counter saved_pages) pages saved, $(counter full_scans) full scans"
done
check "in the end every page and frame is accounted for" consistent "${guest[@]}"
guests_destroy
check "all is given back" wait_until 60 no_vms
scan_stop
check "the module unloads" module_unload
say "seed $seed: $steps steps, $lives guests lived, $((recounts + 1)) recounts"
test_end
