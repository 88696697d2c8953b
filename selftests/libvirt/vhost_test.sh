#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# vhost sends from guest pages, and receives to guest pages, that are zipped or in swap, with a
# copy and without, also while more are taken; and no byte is wrong.
#
# What is sent lies in the guest's page cache, and the guest leaves all of it to its network card,
# checksums too: what of it was taken is brought back by nobody but vhost, whose faults are
# counted.  On its way it waits in a queue of the host's: without a copy by vhost the guest pages
# are pinned as long as that, and copied where it arrives.

# shellcheck disable=SC2317 # check calls what is defined here
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mib=128
# Pages of what is sent that can be zipped, and as many that cannot.
half=1024
most=$((half * 3 / 4))
web=/run/mrm/web
server=
tracing=/sys/kernel/tracing
copied=mrmtest/copied

# By event: what tells one from another in its table.
declare -A keys=([mrm/mrm_fault]="common_pid.execname,write,populated"
	[mrm/mrm_unzip]="common_pid.execname" [$copied]="common_pid.execname")
# By name: what has happened so far, when it was looked at last.
declare -A before

test_cleanup() {
	local event
	[ -z "$server" ] || kill "$server"
	guests_destroy
	for event in "${!keys[@]}"; do
		echo "!hist:keys=${keys[$event]}" >"$tracing/events/$event/trigger"
	done
	echo "-:$copied" >>"$tracing/kprobe_events"
	ip link del mrm0 2>/dev/null
	ip link del br0 2>/dev/null
	rm -rf "$web"
	modprobe -q -r vhost_net
	wait_until 30 rmmod brd
}

network() {
	ip link add br0 type bridge && ip link add mrm0 type veth peer name mrm1 &&
		ip link set mrm1 master br0 && ip addr add 192.0.2.1/24 dev mrm0 &&
		ip link set br0 up && ip link set mrm0 up && ip link set mrm1 up &&
		tc qdisc add dev mrm1 root netem delay 20ms
}

contents() {
	{
		head -c $((half << 12)) /dev/urandom
		seq -f '%.0f: a line of many that differ in their numbers only' $((half << 8)) |
			head -c $((half << 12))
	} >"$web/data"
	md5=$(md5sum <"$web/data")
	md5=${md5%% *}
	is "$(stat -c %s "$web/data")" -eq $((half << 13))
}

events_count() {
	local event
	echo "p:$copied skb_copy_ubufs" >>"$tracing/kprobe_events" || return
	for event in "${!keys[@]}"; do
		echo "hist:keys=${keys[$event]}" >"$tracing/events/$event/trigger" || return
	done
}

# count EVENT REGEX - how often it happened so far, where its table has that.
count() {
	awk -v regex="$2" '/hitcount/ && $0 ~ regex { n += $NF } END { print n + 0 }' \
		"$tracing/events/$1/hist"
}

# What vhost had to have brought: all, what was zipped, what it wrote to and was not empty; and
# what came from swap, for whomever.
happened() {
	case $1 in
	faults) count mrm/mrm_fault 'vhost-' ;;
	unzips) count mrm/mrm_unzip 'vhost-' ;;
	writes) count mrm/mrm_fault 'vhost-.*write: *1, populated: *0 ' ;;
	copies) count "$copied" . ;;
	swap_ins) vm_counter g swap_ins ;;
	esac
}

look() {
	local name
	for name in faults unzips writes copies swap_ins; do
		before[$name]=$(happened "$name")
	done
}

since() {
	echo $(($(happened "$1") - before[$1]))
}

tell() {
	say "$1: vhost had $(since faults) pages brought, $(since unzips) of them zipped, wrote to" \
		"$(since writes); $(since swap_ins) came from swap; $(since copies) frames held" \
		"guest pages"
}

guest() {
	define g "$mib" --run "transfer serve $md5 http://192.0.2.1/data" \
		--append mrm.modules=virtio_net --devices "<interface type='bridge'>
			<source bridge='br0'/><model type='virtio'/><driver name='vhost'/>
		</interface>" &&
		start g && all "adopted $mib" g && guest_wait_line g "$slow" '^transfer: serves'
}

uses_vhost() {
	grep -q vhost-net <(ls -l "/proc/$(guest_pid g)/fd")
}

# All that it has: twice, as what was in use the first time may not be the second.
take() {
	vm_take g $((mib << 20)) && vm_take g $((mib << 20)) &&
		wait_until "$slow" vm_counter_is g swapped_pages -ge "$most" &&
		vm_counter_is g zipped_pages -ge "$most"
}

sends() {
	equal "$(timeout $((slow * patience)) busybox wget -q -O - http://192.0.2.2/data | md5sum)" "$md5  -"
}

send() {
	timeout $((slow * patience)) busybox nc 192.0.2.2 7 <"$web/data"
}

# The guest tells whether it was right.  It may not listen again yet.
receives() {
	local passes
	passes=$(memcheck_passes g)
	wait_until 30 send && wait_until "$slow" memcheck_at g $((passes + 1)) &&
		! memcheck_failed g
}

# vhost_had PID PAGES - or the process has ended.
vhost_had() {
	! kill -0 "$1" || [ "$(happened faults)" -ge "$2" ]
}

# while_taken PAGES COMMAND - all is taken from the guest first, and something whenever vhost has
# had so many pages brought again, so that it gets on, until COMMAND ends.
while_taken() {
	local pages=$1 pid times=0
	shift
	vm_take g $((mib << 20))
	"$@" &
	pid=$!
	while wait_until "$slow" vhost_had "$pid" $(($(happened faults) + pages)) &&
	    kill -0 "$pid"; do
		vm_take g $((4 << 20))
		times=$((times + 1))
	done 2>/dev/null
	echo "taken from $times times"
	wait "$pid" && is "$times" -ge 2
}

read_zipped() {
	is "$(since unzips)" -ge "$most"
}

read_swapped() {
	is $(($(since faults) - $(since unzips))) -ge "$most" && is "$(since swap_ins)" -ge "$most"
}

happens() {
	is "$(since "$1")" "$2" 0
}

# vhost HOW FRAMES OPERATOR - FRAMES tells that the frames which held guest pages are OPERATOR 0.
vhost() {
	check "$1: a guest starts" guest
	check "$1: its network is vhost's" uses_vhost
	check "$1: it has swap" swap_give g /dev/ram0
	check "$1: it is zipped and swapped" take
	look
	check "$1: what it sends is right" sends
	check "$1: vhost read what was zipped" read_zipped
	check "$1: and what was in swap" read_swapped
	tell "$1, sent"
	check "$1: what it sends while it is taken is right" while_taken 512 sends
	check "$1: $2" happens copies "$3"
	check "$1: it is zipped and swapped again" take
	look
	check "$1: what it receives is right" receives
	check "$1: vhost wrote to what was taken" happens writes -gt
	tell "$1, received"
	check "$1: what it receives while it is taken is right" while_taken 64 receives
	check "$1: every page and frame is accounted for" consistent g
	guests_destroy
	check "$1: all is given back" wait_until 60 no_vms
}

test_begin '?'
modprobe -a -q bridge veth sch_netem || bail "no bridge, veth or netem"
modprobe brd rd_nr=1 rd_size=65536 || bail "no RAM disk"
mkdir -p "$web"
echo 0 >"$mrm/share_cpu_max"
echo 50 >"$mrm/zip_max"
check "a network" network
check "something to send" contents
check "events are counted" events_count
busybox httpd -f -p 192.0.2.1:80 -h "$web" &
server=$!
modprobe vhost_net || bail "no vhost"
vhost "with a copy" "no guest page is in a frame" -eq
modprobe -r vhost_net
modprobe vhost_net experimental_zcopytx=1
vhost "without a copy" "guest pages are in frames" -gt
test_end
