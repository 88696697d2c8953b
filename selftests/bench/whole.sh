# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What figures and comparisons with whole guests have in common.  They run inside the
# test host:
#
#	. "$(dirname "${BASH_SOURCE[0]}")/whole.sh"
#	bench_begin DISK_MIB
#	bench_guest a 256 "cache_work /dev/vda 200 4"
#	bench_start a && guest_wait_ready a
#	rate a 20
#
# They measure and do not judge: what they find goes to a CSV file in MRM_OUT, for
# gnuplot, and to lines "result NAME VALUE UNIT, paper: VALUE" at the end.

set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=../../scripts/libvirt.sh
. scripts/libvirt.sh

mrm=/sys/kernel/mrm
bench_disk=/run/mrm/disk
bench_guests=()
# shellcheck disable=SC2034 # for who sources this
mib=$((1 << 20))
# Functions for awk: sort v[1] to v[n]; their median, which sorts them too.
# shellcheck disable=SC2016,SC2034
awk_middle='
function sort(v, n,    i, j, x) {
	for (i = 2; i <= n; i++) {
		x = v[i]
		for (j = i - 1; j > 0 && v[j] > x; j--)
			v[j + 1] = v[j]
		v[j + 1] = x
	}
}
function middle(v, n) {
	sort(v, n)
	return (v[int((n + 1) / 2)] + v[int(n / 2) + 1]) / 2
}
'

# progress TEXT... - with the seconds since the start.
progress() {
	printf '%5d s  %s\n' "$SECONDS" "$*"
}

bench_cleanup() {
	local status=$?
	trap - EXIT
	if [ "$status" != 0 ]; then
		dmesg | tail -n 15
		tail -n 20 "$mrmd_log" "$guest_logs"/*.log 2>/dev/null || :
	fi
	[ -z "$mrmd_pid" ] || mrmd_kill || :
	cp "$mrmd_log" "$MRM_OUT/mrmd.log" 2>/dev/null || :
	[ ${#bench_guests[@]} = 0 ] || bench_end "${bench_guests[@]}" || :
	exit "$status"
}

# bench_begin [DISK_MIB] - the module without sharing, libvirt, and a disk of random
# bytes for the guests.
bench_begin() {
	printf 'on %s, %s processors, guests %s\n' "$(uname -r)" "$(nproc)" \
		"under libvirt $(libvirtd --version | sed 's/.* //')"
	[ -d /sys/module/kvm_mrm ] || insmod "$MRM_BUILD/kvm_mrm.ko"
	echo 0 >"$mrm/share_cpu_max"
	# What the host takes by itself no balloon is asked for.
	echo 0 >"$mrm/zip_max"
	# As what they are compared with does without, and pages are counted.
	echo 0 >"$mrm/alloc_guest_large_page"
	libvirt_start
	trap bench_cleanup EXIT
	[ -z "${1-}" ] || head -c "$1M" /dev/urandom >"$bench_disk"
}

# bench_guest NAME MIB RUN [OPTION]... - define a guest with the disk, as vda.  It is
# read through the guest's page cache and, here, lies in memory: a miss costs the guest
# a request to virtio-blk and the host a copy.
bench_guest() {
	local name=$1 size=$2 run=$3
	shift 3
	bench_guests+=("$name")
	guest_define "$name" "$size" --run "$run" --append mrm.modules=virtio_blk \
		--devices "<disk type='file' device='disk'>
		  <driver name='qemu' type='raw' cache='writeback'/>
		  <source file='$bench_disk'/><target dev='vda' bus='virtio'/>
		  <readonly/><shareable/>
		</disk>" "$@"
}

# bench_start NAME... - start guests that share nothing, also when memory is short: guests
# that read the same disk have the same pages, and nobody would have to give any up.
bench_start() {
	local name
	guest_start "$@"
	for name; do
		wait_until 30 bench_unshare "$name"
	done
}

bench_unshare() {
	echo 0 >"$mrm/vm/$(guest_pid "$1")/share"
}

# bench_end NAME... - end guests, and wait until the module has forgotten them.
bench_end() {
	local name left=() other
	guest_destroy "$@"
	for other in "${bench_guests[@]}"; do
		for name; do
			[ "$name" != "$other" ] || continue 2
		done
		left+=("$other")
	done
	bench_guests=("${left[@]}")
	wait_until 30 vms_are ${#left[@]}
}

vms_are() {
	[ "$(cat "$mrm/vms")" = "$1" ]
}

# vm_value NAME FILE - of a guest, from the module.
vm_value() {
	cat "$mrm/vm/$(guest_pid "$1")/$2"
}

# vm_mib NAME FILE... - the same of several in bytes, as MiB, separated by commas.
vm_mib() {
	local dir
	dir=$mrm/vm/$(guest_pid "$1")
	shift
	(cd "$dir" && cat "$@") | awk '{ printf "%s%.1f", (NR > 1 ? "," : ""), $1 / 1048576 }'
}

# work_done NAME - pages that cache_work has worked on.  A line that is just being written
# has no end yet.
work_done() {
	sed -n 's/^cache_work: \([0-9]*\)\r$/\1/p' "$guest_logs/$1.log" | tail -n 1 | grep . ||
		echo 0
}

# now_ms - a clock.
now_ms() {
	local up
	read -r up _ </proc/uptime
	echo "${up/./}0"
}

# host_ms - CPU time of the whole host so far.
host_ms() {
	awk -v processors="$(nproc)" '{ printf "%d\n", ($1 * processors - $2) * 1000 }' /proc/uptime
}

# rate NAME SECONDS - pages a second that cache_work does, over so long.  It reports each
# second: what is counted begins and ends with a report.
rate() {
	local name=$1 begun first lines
	report_next "$name"
	first=$(work_done "$name")
	begun=$(now_ms)
	for ((lines = 0; lines < $2; lines++)); do
		report_next "$name"
	done
	awk -v n=$(($(work_done "$name") - first)) -v ms=$(($(now_ms) - begun)) \
		'BEGIN { printf "%.1f\n", n * 1000 / ms }'
}

# report_next NAME - wait for a guest's next report.
report_next() {
	local seen
	seen=$(grep -c '^cache_work: ' "$guest_logs/$1.log" || :)
	wait_until 60 reports_are "$1" $((seen + 1))
}

reports_are() {
	[ "$(grep -c '^cache_work: ' "$guest_logs/$1.log")" -ge "$2" ]
}

# guest_stats KEY... - of each guest that runs, what libvirt says: "NAME VALUE...".
guest_stats() {
	virsh -q domstats --balloon --block | awk -F "[ '=]+" -v keys="$*" '
	$1 == "Domain:" { name[++guests] = $2; next }
	{ value[guests, $2] = $3 }
	END {
		n = split(keys, key, " ")
		for (g = 1; g <= guests; g++) {
			line = name[g]
			for (k = 1; k <= n; k++)
				line = line " " ((g, key[k]) in value ? value[g, key[k]] : 0)
			print line
		}
	}'
}

# policy_state - what a policy over libvirt knows, in KiB: a line with what the guests
# use of the host, and one for each guest, "NAME SIZE HAS FREE".  What they use is the
# module's number, so that all policies see the same.
policy_state() {
	cat "$mrm"/vm/*/consumed_bytes | awk '{ used += $1 } END { printf "%d\n", used / 1024 }'
	guest_stats balloon.maximum balloon.current balloon.unused
}

# policy_set - what guests are to have, from lines "NAME KIB".  All in one virsh: to
# start one takes longer than what it does.
policy_set() {
	local name kib commands=''
	while read -r name kib; do
		progress "$name to $((kib / 1024)) MiB"
		commands+="setmem $name $kib --live;"
	done
	[ -z "$commands" ] || virsh -q "$commands"
}

# median_of - of numbers on its input, one a line: "median min max".
median_of() {
	sort -n | awk '{ v[NR] = $1 }
		END { printf "%s %s %s\n", v[int((NR + 1) / 2)], v[1], v[NR] }'
}

# result NAME VALUE TEXT - in the end.
result() {
	printf 'result %-34s %10s %s\n' "$@"
}
