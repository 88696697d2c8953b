#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Live migration between two QEMUs on this host.  libvirt refuses to migrate to
# where it is, so both are started here, with the arguments that libvirt uses,
# and driven by QMP.  Much of the guest is zipped, or in swap, and is read again by
# who migrates it: first while the guest runs, and then while it stands still, so
# that nobody else reads it.

# shellcheck disable=SC2317 # check calls what is defined here
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mib=128
much=1000		# pages
dir=/run/mrm/migrate

# By name of the QEMU: its process, and the pipes to it.
declare -A qemu_pid qmp_in qmp_out

# qemu NAME [ARGUMENT]... - start a QEMU; it answers QMP on a pair of pipes.
qemu() {
	local name=$1 in out
	shift
	rm -f "$guest_logs/$name.log"
	mkfifo "$dir/$name.in" "$dir/$name.out"
	qemu-system-x86_64 -name "guest=$name" -nodefaults -no-user-config -display none \
		-no-reboot -accel kvm -cpu host -smp 1 -overcommit mem-lock=off \
		-machine pc,usb=off,dump-guest-core=off,memory-backend=pc.ram \
		-object "{\"qom-type\":\"memory-backend-ram\",\"id\":\"pc.ram\",\"size\":$((mib << 20))}" \
		-m "size=$((mib << 10))k" -kernel "$guest_kernel" -initrd "$guest_initrd" \
		-append "console=ttyS0 quiet panic=-1 mrm.run=memcheck%20-i%20300%20-w%2010%2040" \
		-serial "file:$guest_logs/$name.log" -device virtio-balloon-pci \
		-chardev "pipe,id=qmp,path=$dir/$name" -mon chardev=qmp,mode=control "$@" \
		</dev/null >"$dir/$name.log" 2>&1 &
	qemu_pid[$name]=$!
	exec {in}<>"$dir/$name.in" {out}<>"$dir/$name.out"
	qmp_in[$name]=$in qmp_out[$name]=$out
	{ qmp_read "$name" QMP && qmp "$name" qmp_capabilities; } >"$dir/$name.greeting"
}

# qmp_read NAME KEY [SECONDS] - the next message with this member.
qmp_read() {
	local line end=$((SECONDS + ${3:-60}))
	while [ "$SECONDS" -lt "$end" ]; do
		read -r -t 5 -u "${qmp_out[$1]}" line || continue
		if [ "$(jq -r "has(\"$2\")" <<<"$line")" = true ]; then
			echo "$line"
			return
		fi
		case $line in
		'{"error"'*)
			echo "$line"
			return 1
			;;
		esac
	done
	echo "no $2 from $1"
	return 1
}

# qmp NAME COMMAND [ARGUMENTS] - run a command; prints what it returns.
qmp() {
	echo "{\"execute\": \"$2\"${3:+, \"arguments\": $3}}" >&"${qmp_in[$1]}"
	qmp_read "$1" return
}

migration_is() {
	equal "$(qmp "$1" query-migrate | jq -r .return.status)" "$2"
}

migration_ended() {
	qmp "$1" query-migrate | jq -e '.return.status | . == "completed" or . == "failed"'
}

status_is() {
	equal "$(qmp "$1" query-status | jq -r .return.status)" "$2"
}

# migrate FROM TO - with guest memory changing all the time, if it runs.
migrate() {
	local status
	status=$(qmp "$1" query-status | jq -r .return.status)
	qmp "$1" migrate-set-parameters '{"downtime-limit": 3000, "max-bandwidth": 1000000000}' &&
		qmp "$1" migrate "{\"uri\": \"unix:$dir/$2.migrate\"}" &&
		wait_until 120 migration_ended "$1" &&
		migration_is "$1" completed &&
		wait_until 30 status_is "$2" "$status"
}

# quit NAME - end QEMU; what it had is given back.
quit() {
	qmp "$1" quit >/dev/null
	wait_until 30 not_running "$1" && wait_until 30 not_listed "$(guest_pid "$1")"
}

not_running() {
	! kill -0 "$(guest_pid "$1")"
}

# lib.sh asks for the process of a guest; libvirt knows nothing of these.
guest_pid() {
	echo "${qemu_pid[$1]}"
}

# take GUEST - of what memcheck fills, most cannot be zipped.
take() {
	local outs
	outs=$(vm_counter "$1" swap_outs)
	vm_take "$1" $((mib << 19))
	wait_until 30 vm_counter_is "$1" swap_outs -ge $((outs + much)) &&
		vm_counter_is "$1" zips -ge "$much"
}

# come_back GUEST PAGES COMMAND... - so many are unzipped, and as many read from swap, meanwhile.
come_back() {
	local name=$1 pages=$2 unzips ins
	shift 2
	unzips=$(vm_counter "$name" unzips) ins=$(vm_counter "$name" swap_ins)
	"$@" || return
	unzips=$(($(vm_counter "$name" unzips) - unzips))
	ins=$(($(vm_counter "$name" swap_ins) - ins))
	echo "$unzips unzipped, $ins read from swap"
	is "$unzips" -ge "$pages" && is "$ins" -ge "$pages"
}

# What was equal to the source's is shared still, and is not taken.
stop_and_take() {
	qmp target stop && echo 0 >"$(vm_dir target)/share" && take target &&
		vm_counter_is target zipped_pages -ge "$much" &&
		vm_counter_is target swapped_pages -ge "$much"
}

all_came_back() {
	vm_counter_is "$1" zipped_pages -eq 0 && vm_counter_is "$1" swapped_pages -eq 0
}

goes_on() {
	qmp "$1" cont && verified "$1"
}

stopped_and_consistent() {
	qmp "$1" stop && consistent
}

test_cleanup() {
	local pid
	for pid in "${qemu_pid[@]}"; do
		kill -9 "$pid"
	done 2>/dev/null
	rm -rf "$dir"
	wait_until 30 rmmod brd
}

verified() {
	guest_wait_line "$1" 90 '^memcheck: pass' && memcheck_goes_on "$1"
}

starts() {
	qemu source && guest_wait_ready source
}

test_begin 23
mkdir -p "$dir" "$guest_logs"
modprobe brd rd_nr=2 rd_size=65536 || bail "no RAM disk"
echo 50 >"$mrm/zip_max"
scan_flat_out
check "a guest starts" starts
check "it is adopted" adopted "$mib" source
check "its memory is right" verified source
check "it shares" shares source 2000
check "it has swap" swap_give source /dev/ram0
check "a second QEMU waits for it" qemu target -incoming "unix:$dir/target.migrate"
check "much of the rest is zipped and swapped" take source
check "it migrates, and reads of that" come_back source 100 migrate source target
check "the target is adopted" adopted "$mib" target
check "its memory is right" verified target
check "the source goes, and gives all back" quit source
check "the target's memory is right" verified target
check "it shares" shares target 2000
check "it has swap" swap_give target /dev/ram1
check "a third QEMU waits for it" qemu third -incoming "unix:$dir/third.migrate"
check "it stands still, and much of it is zipped and swapped" stop_and_take
check "it migrates, and reads of that" come_back target "$much" migrate target third
check "all of that" all_came_back target
check "the target goes, and gives all back" quit target
check "the third goes on, and its memory is right" goes_on third
scan_stop
check "every page and frame is accounted for" stopped_and_consistent third
check "the third goes, and gives all back" quit third
check "all is given back" wait_until 30 no_vms
test_end
