#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Guests send through a network card that reaches 32 bits of address only.  What they send is
# copied to memory of the host's own on its way, by QEMU as by vhost, so no guest page is copied
# for the card.  Where vhost is told not to, guest pages are, and are moved like a disk's.

# shellcheck disable=SC2317 # check calls what is defined here
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mib=128
packets=2000
trace=/sys/kernel/tracing/events/swiotlb/swiotlb_bounced

test_cleanup() {
	guests_destroy
	echo '!hist:keys=size' >"$trace/trigger"
	ip link del br0 2>/dev/null
	modprobe -q -r vhost_net
}

# The interface that a driver made, as soon as it has.
card() {
	local driver
	for driver in /sys/class/net/*/device/driver; do
		[ "$(basename "$(readlink "$driver")")" != e1000 ] || basename "${driver%/device/driver}"
	done
}

bridge() {
	ip link add br0 type bridge && ip link set "$card" master br0 && ip link set "$card" up &&
		ip link set br0 up && echo 'hist:keys=size' >"$trace/trigger"
}

sent() {
	cat "/sys/class/net/$card/statistics/tx_packets"
}

sent_is() {
	is "$(sent)" -ge "$1"
}

# Copies of whatever page.
copies() {
	sed -n 's/^ *Hits: //p' "$trace/hist"
}

# guest DRIVER - one that sends what nobody answers to.
guest() {
	local run="ifconfig eth0 10.9.0.1; arp -s 10.9.0.2 02:00:00:00:00:02;"
	run+=" ping -q -s 4000 -i 0.002 10.9.0.2"
	define g "$mib" --append mrm.modules=virtio_net --run "$run" \
		--devices "<interface type='bridge'><source bridge='br0'/>
			<model type='virtio'/><driver name='$1'/></interface>" &&
		start g && all "adopted $mib" g
}

sends() {
	wait_until "$slow" sent_is $(($(sent) + packets))
}

# The host's own pages are copied for the card, so it is one for which that has to be done.
only_the_hosts() {
	is "$(copies)" -gt "$before" && vm_counter_is g io_bounces -eq 0
}

bounced() {
	vm_counter_is g io_bounces -gt "$1"
}

moved() {
	vm_counter_is g io_remapped_pages -gt 0
}

few_copies() {
	is $((10 * ($(vm_counter g io_bounces) - before))) -lt $(($(sent) - first))
}

test_begin '?'
modprobe -a -q e1000 bridge tun
card=$(card)
if [ -z "$card" ]; then
	skip "guests send" "no card of 32 bits: scripts/host --ide, or no driver for it"
	test_end
fi
echo 4 >"$mrm/hot_io_threshold"
check "a bridge to the card" bridge
for driver in qemu vhost; do
	modprobe -q vhost_net
	before=$(copies)
	check "$driver: a guest starts" guest "$driver"
	check "$driver: it sends" sends
	check "$driver: no page of it is copied for the card" only_the_hosts
	say "$driver: $(($(copies) - before)) copies of the host's own pages"
	guests_destroy
done
modprobe -r vhost_net
modprobe vhost_net experimental_zcopytx=1
check "without a copy by vhost: a guest starts" guest vhost
check "its pages are copied for the card" wait_until "$slow" bounced 0
check "it is known for which" grep -q "^$(basename "$(readlink "/sys/class/net/$card/device")") 0xffffffff " \
	"$mrm_debug/io_devices"
check "those that are copied often are moved" wait_until "$slow" moved
check "it goes on" sends
before=$(vm_counter g io_bounces) first=$(sent)
check "and on" sends
check "hardly any is copied any more" few_copies
say "$(($(vm_counter g io_bounces) - before)) copies for $(($(sent) - first)) packets," \
	"$(vm_counter g io_remapped_pages) pages moved, $(vm_counter g io_low_bytes) bytes low"
check "every page and frame is accounted for" consistent g
guests_destroy
check "all is given back" wait_until 60 no_vms
test_end
