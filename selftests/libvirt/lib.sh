# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the tests with whole guests have in common.  A test is a script
# selftests/libvirt/*_test.sh that sources this file, says how many points it has
# and checks them:
#
#	. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
#	test_begin 2
#	guest_define a 128 --run 'memcheck 40'
#	check "a guest starts" start a
#	check "its memory stays what it was" memcheck_goes_on a
#	test_end
#
# It prints TAP, and can be run by itself: scripts/host -- selftests/libvirt/X_test.sh

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit
# shellcheck source=../../scripts/libvirt.sh
. scripts/libvirt.sh

mrm=/sys/kernel/mrm
mrm_debug=/sys/kernel/debug/mrm
libvirt_test_dir=/run/mrm/test

# Seconds that a guest may take for what keeps it busy: where two emulated hosts share a
# machine that is a minute at times, and two.
slow=300

test_points=0
test_planned=0
test_failures=0
test_guests=()
tunable_saved=()
scan_writer=

# say TEXT... - a comment in the output.
say() {
	printf '# %s\n' "$*"
}

# test_begin N - plan N points, or "?": as many as there will be; load the module;
# start libvirt.
test_begin() {
	test_planned=$1
	test_started=$SECONDS
	[ "$test_planned" = '?' ] || echo "1..$test_planned"
	trap test_end EXIT
	mkdir -p "$libvirt_test_dir"
	module_load || bail "the module does not load"
	tunables_save
	echo "${MRM_LARGE:-0}" >"$mrm/alloc_guest_large_page" || bail "MRM_LARGE is 0 or 1"
	libvirt_start || bail "libvirt does not start"
	leftovers_destroy
}

tunables=(share_scan_time share_rate_max share_cpu_max share_force_salting
	sample_period sample_pages sample_method idle_tax balance_period min_free balloon_max
	limit_bytes zip_max alloc_guest_large_page large_break_pct large_rebuild_rate
	hot_io_threshold hot_io_period hot_io_max)

# What the test changes is put back in the end.
tunables_save() {
	local name
	for name in "${tunables[@]}"; do
		tunable_saved+=("$(counter "$name")")
	done
}

tunables_restore() {
	local i
	for i in "${!tunable_saved[@]}"; do
		echo "${tunable_saved[i]}" >"$mrm/${tunables[i]}"
	done
}

# Of a test that was killed.
leftovers_destroy() {
	local name
	for name in $(virsh -q list --all --name); do
		test_guests+=("$name")
	done
	guests_destroy
}

# bail WHY - give up: what follows would mean nothing.
bail() {
	echo "Bail out! $*"
	exit 1
}

# test_end - destroy the guests, and exit.
test_end() {
	local status=$?
	trap - EXIT
	scan_stop
	if [ "$test_failures" != 0 ] || [ "$status" != 0 ]; then
		show_state
	fi
	guests_destroy
	test_cleanup
	if [ -e "$mrm" ]; then
		tunables_restore
	fi
	rm -rf "$libvirt_test_dir"
	say "$test_points points, $test_failures failed, $((SECONDS - test_started)) s," \
		"$guest_retries starts repeated"
	if [ "$test_planned" = '?' ]; then
		[ "$status" != 0 ] || echo "1..$test_points"
	elif [ "$status" = 0 ] && [ "$test_points" != "$test_planned" ]; then
		say "planned $test_planned points, had $test_points"
		exit 1
	fi
	exit $((status ? status : test_failures != 0))
}

# test_cleanup - for a test to replace; called at its end, whatever happened.
test_cleanup() {
	:
}

point() {
	test_points=$((test_points + 1))
	echo "$1 $test_points - $2"
}

# check TEXT COMMAND... - a point, which COMMAND decides.
check() {
	local text=$1 started=$SECONDS
	shift
	if "$@" >"$libvirt_test_dir/output" 2>&1; then
		point ok "$text"
	else
		point "not ok" "$text"
		say "failed: $*"
		# The guests as they are now, not when the test ends.
		[ "$test_failures" != 0 ] || show_state
		test_failures=$((test_failures + 1))
	fi
	sed 's/^/# /' "$libvirt_test_dir/output"
	if [ $((SECONDS - started)) -ge 30 ]; then
		say "$((SECONDS - started)) s"
	fi
}

# skip TEXT REASON - a point that cannot be tried here.
skip() {
	point ok "$1 # SKIP $2"
}

# is A OPERATOR B - compare numbers, as [ does, and say so when it is false.
is() {
	test "$1" "$2" "$3" && return
	echo "$1 is not $2 $3"
	return 1
}

# equal A B - compare texts.
equal() {
	[ "$1" = "$2" ] && return
	echo "\"$1\" is not \"$2\""
	return 1
}

module_load() {
	[ -d /sys/module/kvm_mrm ] || insmod "$MRM_BUILD/kvm_mrm.ko"
}

# module_unload - also has to leave no file behind.
module_unload() {
	rmmod kvm_mrm && ! [ -e "$mrm" ] && ! [ -e "$mrm_debug" ]
}

# counter NAME - of the host.
counter() {
	cat "$mrm/$1"
}

# vm_dir GUEST - its directory in sysfs.
vm_dir() {
	echo "$mrm/vm/$(guest_pid "$1")"
}

# vm_counter GUEST NAME - a counter or text of a guest.
vm_counter() {
	cat "$(vm_dir "$1")/$2"
}

# vm_take GUEST BYTES - have the host take so much from it by itself.
vm_take() {
	echo "$2" >"$mrm_debug/vm/$(guest_pid "$1")/reclaim"
}

counter_is() {
	is "$(counter "$1")" "$2" "$3"
}

vm_counter_is() {
	is "$(vm_counter "$1" "$2")" "$3" "$4"
}

vm_text_is() {
	equal "$(vm_counter "$1" "$2")" "$3"
}

# adopted MIB GUEST - so much of its RAM is, and it is listed by name.
adopted() {
	equal "$(vm_counter "$2" name)" "$2" &&
		vm_counter_is "$2" adopted_bytes -ge $(($1 << 20)) &&
		vm_counter_is "$2" adopted_bytes -lt $((($1 + 32) << 20))
}

# not_listed PID - the process is no VM, or not any more.
not_listed() {
	! [ -e "$mrm/vm/$1" ]
}

# shares GUEST PAGES - wait until so many of its pages are shared.
shares() {
	wait_until "$slow" vm_counter_is "$1" shared_pages -ge "$2"
}

# no_vms - all VMs are gone, and gave everything back.
no_vms() {
	local name
	counter_is vms -eq 0 || return
	# What is counted of VMs that are, not of what they did.
	for name in adopted_bytes resident_pages private_pages shared_pages shared_frames \
	    zero_pages zero_frames saved_pages hinted_pages ineligible_pages zipped_pages \
	    zip_bytes swapped_pages swap_cached_pages large_pages large_held_bytes \
	    large_untouched_bytes io_low_bytes; do
		counter_is "$name" -eq 0 || return
	done
	[ -z "$(ls "$mrm/vm")" ]
}

accounted_for() {
	equal "$(cat "$mrm_debug/check" "$mrm_debug/missed")" $'ok\nslots 0\ndiscards 0'
}

# consistent GUEST... - the module counts everything again.  All guests there are
# must be named: they stand still meanwhile.  QEMU may have a request of theirs in
# hand for a moment yet.
consistent() {
	local name wrong=0
	for name; do
		virsh -q suspend "$name" || return
	done
	# Right once is right; what is taken of them meanwhile is counted here and there.
	wait_until 10 accounted_for || { accounted_for; wrong=1; }
	for name; do
		virsh -q resume "$name" || return
	done
	return "$wrong"
}

# define NAME MEM_MIB [OPTION]... - guest_define, and forget it in the end.
define() {
	test_guests+=("$1")
	guest_define "$@"
}

# start NAME... - until the workload runs.  One after the other: when several
# boot at a time the emulator resets one of them now and then.
start() {
	local name
	for name; do
		guest_start "$name" && guest_wait_ready "$name" || return
	done
}

guests_destroy() {
	local name
	for name in "${test_guests[@]}"; do
		if virsh -q domstate "$name" >/dev/null 2>&1; then
			guest_destroy "$name"
		fi
	done
	test_guests=()
}

show_state() {
	local name
	say "the host: $(cd "$mrm" 2>/dev/null && grep -s . [a-z]*_* vms | tr '\n' ' ')"
	for name in "${test_guests[@]}"; do
		say "guest $name: $(virsh -q domstate --reason "$name" 2>&1 | tr '\n' ' ')" \
			"$(cd "$(vm_dir "$name")" 2>/dev/null && grep -s . [!s]* | tr '\n' ' ')"
		tail -n 5 "$guest_logs/$name.log" "/var/log/libvirt/qemu/$name.log" | sed 's/^/# /'
	done 2>/dev/null
	dmesg | tail -n 15 | sed 's/^/# dmesg: /'
}

# scan_flat_out - let the scanner use all of a processor, and share between guests.
scan_flat_out() {
	scan_at 100
}

# scan_at PERCENT - the same with so much of a processor.
scan_at() {
	echo "$1" >"$mrm/share_cpu_max"
	echo 10000000 >"$mrm/share_rate_max"
	echo 1 >"$mrm/share_scan_time"
	echo 1 >"$mrm/share_force_salting"
	scan_forever &
	scan_writer=$!
}

scan_forever() {
	while echo 1 >"$mrm/share_scan_now"; do
		sleep 1
	done 2>/dev/null
}

# scan_stop - end scan_flat_out, and all scanning.
scan_stop() {
	if [ -n "$scan_writer" ]; then
		kill "$scan_writer"
		wait "$scan_writer"
		scan_writer=
	fi 2>/dev/null
	if [ -e "$mrm/share_cpu_max" ]; then
		echo 0 >"$mrm/share_cpu_max"
	fi
}

# scan_rounds N - let all guests be scanned N times, then stop.
scan_rounds() {
	local i before
	echo 100 >"$mrm/share_cpu_max"
	echo 1 >"$mrm/share_force_salting"
	for ((i = 0; i < $1; i++)); do
		before=$(counter full_scans)
		echo 1 >"$mrm/share_scan_now"
		wait_until 60 counter_is full_scans -gt "$before" || return
	done
	echo 0 >"$mrm/share_cpu_max"
}

# Where libvirt looks for hooks, and what ours calls.
hook=/etc/libvirt/hooks/qemu.d/mrm
mrmctl=$MRM_BUILD/userspace/build/mrmctl

# hook_install - libvirt looks for hooks when it starts, so it is started anew.
hook_install() {
	libvirt_stop
	hook_put
	libvirt_start
}

hook_put() {
	ln -sf "$mrmctl" /usr/bin/mrmctl
	install -D -m 755 userspace/mrmd/libvirt-hook "$hook"
}

hook_remove() {
	rm -f "$hook" /usr/bin/mrmctl
}

# start_refused GUEST TEXT - by a sentence that virsh shows, and only then.
start_refused() {
	local said
	said=$(virsh -q start "$1" 2>&1) && return 1
	echo "$said"
	[[ $said == *"$2"* ]] && equal "$(virsh -q domstate "$1")" "shut off"
}

# disk_mount MIB DIR [KIND] - a file system of that size, in memory, but with direct I/O.
disk_mount() {
	local kind=${3:-ext4} force=-F image
	image=/run/mrm/image.$kind
	[ "$kind" = ext4 ] || force=-f
	modprobe -a -q loop "$kind"
	mkdir -p "$2" && truncate -s "$1M" "$image" && "mkfs.$kind" -q "$force" "$image" &&
		mount -o loop "$image" "$2" && chmod 700 "$2"
}

# swap_give GUEST DISK - make a disk or a file its swap file, without mrmd.
swap_give() {
	# shellcheck disable=SC2016 # Perl's variables
	perl -MFcntl -e 'my ($swap, $to);
		sysopen($swap, $ARGV[0], O_RDWR | O_DIRECT) && open($to, ">", $ARGV[1]) &&
		print($to fileno($swap)) && close($to) or die("$ARGV[0]: $!\n")' \
		"$2" "$(vm_dir "$1")/swap_file" &&
		vm_text_is "$1" swap_file "$2"
}

memcheck_passes() {
	grep -c -s -E '^(memcheck|transfer): pass .* ok' "$guest_logs/$1.log"
}

# Wrong, or the guest is gone.
memcheck_failed() {
	grep -s -E '^(memcheck|transfer): (WRONG|no memory)|^mrm-guest: workload ended|Kernel panic|Out of memory' \
		"$guest_logs/$1.log" || ! kill -0 "$(guest_pid "$1")"
}

memcheck_at() {
	memcheck_failed "$1" || [ "$(memcheck_passes "$1")" -ge "$2" ]
}

# memcheck_goes_on NAME [PASSES] - the guest's memory is verified, at least once
# from its beginning to its end, and nothing was wrong so far.
memcheck_goes_on() {
	local goal
	goal=$(($(memcheck_passes "$1") + ${2:-2}))
	wait_until "$slow" memcheck_at "$1" "$goal" && ! memcheck_failed "$1"
}

# memcheck_goes_on_for PASSES NAME - for so many passes.
memcheck_goes_on_for() {
	memcheck_goes_on "$2" "$1"
}

# all COMMAND NAME... - COMMAND, with its arguments in one word, for each guest.
all() {
	local command name
	read -ra command <<<"$1"
	shift
	for name; do
		"${command[@]}" "$name" || return
	done
}

# balloon NAME KIB - set the target, and wait until the guest has it.
balloon() {
	virsh -q setmem "$1" "$2" --live && wait_until "$slow" balloon_is "$1" "$2"
}

balloon_is() {
	is "$(guest_actual_kib "$1")" -eq "$2"
}
