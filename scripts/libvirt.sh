# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Start libvirt in the test host, and ordinary guests under it.  Sourced by what
# scripts/host runs:
#
#	. scripts/libvirt.sh
#	libvirt_start
#	guest_define a 128
#	guest_start a
#	guest_wait_ready a
#	virsh setmem a 96M --live
#	guest_destroy a
#
# Every function takes its time and returns when the thing is done, or fails
# with a message.

# The kernel that guests boot, and its initramfs with guest/init in it.
guest_kernel=/usr/lib/kvm-mrm/guest-vmlinux
guest_initrd=${MRM_BUILD-}/guest/initrd
guest_logs=/run/mrm/guests

# How many times longer than on an ordinary kernel things may take.
patience=${MRM_PATIENCE:-1}
# An emulated start that is not there by now has hung.
guest_bound=${MRM_GUEST_BOUND:-$((90 * patience))}
# How often a start was repeated, in all.
guest_retries=0

# What mrmd says, and its process.
mrmd_log=/run/mrm/mrmd.log
mrmd_pid=

libvirt_say() {
	printf 'libvirt: %s\n' "$*" >&2
}

# wait_until SECONDS COMMAND... - until COMMAND succeeds; on a debug kernel, longer.
wait_until() {
	local end=$((SECONDS + $1 * patience)) tenths=1
	shift
	until "$@" >/dev/null 2>&1; do
		if [ "$SECONDS" -ge "$end" ]; then
			echo "in vain: $*"
			return 1
		fi
		sleep "$((tenths / 10)).$((tenths % 10))"
		# What takes long is asked for less often: on an emulated processor each time
		# costs what it takes a guest to get on.
		((tenths += tenths < 30 ? tenths / 4 + 1 : 0))
	done
}

# libvirt_start - start libvirtd, unless it runs.
libvirt_start() {
	local config cache=/var/cache/libvirt/qemu/capabilities
	if virsh uri >/dev/null 2>&1; then
		return
	fi
	config=$(dirname "${BASH_SOURCE[0]}")/testbed/libvirt
	cp "$config"/*.conf /etc/libvirt/
	# To ask QEMU what it can do takes 8 to 18 s under emulation.
	if [ -d /mrm/capabilities ] && [ ! -d "$cache" ]; then
		mkdir -p "$cache"
		cp -p /mrm/capabilities/* "$cache/"
	fi
	mkdir -p "$guest_logs"
	# Both go to the background only when they accept connections.
	# libvirt_stop leaves virtlogd.
	if ! { { pidof -q virtlogd || virtlogd -d; } && libvirtd -d && virsh uri >/dev/null; }; then
		libvirt_say "libvirtd does not start"
		return 1
	fi
}

# libvirt_stop - stop libvirtd; guests go on.
libvirt_stop() {
	local pid
	pid=$(cat /run/libvirtd.pid) || return
	kill "$pid"
	timeout 30 tail --pid="$pid" -s 0.1 -f /dev/null
}

# mrmd_start [OPTION]... - start mrmd, until it answers.  Without swap, unless that is an
# option: this host's root is in memory.
mrmd_start() {
	"$MRM_BUILD/userspace/build/mrmd" --swap none "$@" >>"$mrmd_log" 2>&1 &
	mrmd_pid=$!
	wait_until 20 "$MRM_BUILD/userspace/build/mrmctl" status
}

mrmd_kill() {
	kill -9 "$mrmd_pid"
	wait "$mrmd_pid" 2>/dev/null
	mrmd_pid=
}

# mrmd_end - it ends by itself when asked to, and has no complaint.
mrmd_end() {
	local pid=$mrmd_pid
	kill "$mrmd_pid"
	mrmd_pid=
	wait "$pid"
}

guest_usage() {
	libvirt_say "guest_define NAME MEM_MIB [--run COMMAND] [--append KERNEL_ARGS]" \
		"[--cpus N] [--machine TYPE] [--cpu XML] [--devices XML] [--domain XML]"
	return 2
}

# guest_define NAME MEM_MIB [OPTION]... - define a guest, with the XML that a
# user would write.
#   --run COMMAND  what the guest runs when it is ready
#   --append ARGS  more arguments for its kernel
#   --cpus N       virtual processors (default: 1)
#   --machine TYPE QEMU's machine type (default: pc)
#   --cpu XML      added to <cpu>, e.g. <numa>
#   --devices XML  added to <devices>
#   --domain XML   added to <domain>, e.g. <memoryBacking>
guest_define() {
	local name=$1 mem=$2 run='' append='' cpus=1 machine=pc cpu='' devices='' domain='' cmdline
	shift 2 || guest_usage || return
	while [ $# -gt 0 ]; do
		[ $# -ge 2 ] || guest_usage || return
		case $1 in
		--run) run=$2 ;;
		--append) append=$2 ;;
		--cpus) cpus=$2 ;;
		--machine) machine=$2 ;;
		--cpu) cpu=$2 ;;
		--devices) devices=$2 ;;
		--domain) domain=$2 ;;
		*) guest_usage || return ;;
		esac
		shift 2
	done
	cmdline="console=ttyS0 quiet panic=-1 $append"
	if [ -n "$run" ]; then
		# The kernel splits its command line at spaces.
		cmdline+=" mrm.run=${run// /%20}"
	fi
	cmdline=${cmdline//&/&amp;}
	cmdline=${cmdline//</&lt;}
	virsh -q define /dev/stdin >/dev/null <<-XML
	<domain type='kvm'>
	  <name>$name</name>
	  <memory unit='MiB'>$mem</memory>
	  <vcpu>$cpus</vcpu>
	  <os>
	    <type arch='x86_64' machine='$machine'>hvm</type>
	    <kernel>$guest_kernel</kernel>
	    <initrd>$guest_initrd</initrd>
	    <cmdline>$cmdline</cmdline>
	  </os>
	  <features><acpi/><apic/></features>
	  <cpu mode='host-passthrough'>$cpu</cpu>
	  <on_reboot>destroy</on_reboot>
	  $domain
	  <devices>
	    <serial type='file'><source path='$guest_logs/$name.log'/></serial>
	    $devices
	  </devices>
	</domain>
	XML
}

# guest_start NAME... - start guests, all at once.
guest_start() {
	local name pids=() pid failed=0
	for name; do
		rm -f "$guest_logs/$name.log"
		virsh -q start "$name" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || failed=1
	done
	return "$failed"
}

guest_pid() {
	cat "/run/libvirt/qemu/$1.pid"
}

# guest_actual_kib NAME - what its balloon leaves a guest, as QEMU knows.
guest_actual_kib() {
	virsh -q dommemstat "$1" | sed -n 's/^actual //p'
}

# guest_wait_line NAME SECONDS REGEX - wait until the guest's console shows a line.
guest_wait_line() {
	local pid log=$guest_logs/$1.log
	pid=$(guest_pid "$1" 2>/dev/null) || pid=
	# The pipe makes tail end with grep; the process, when the guest dies.
	timeout "$2" tail ${pid:+"--pid=$pid"} -n +1 -F "$log" 2>/dev/null |
		grep -q -m1 -E "$3" && return
	# It may have been the last that the guest wrote.
	grep -q -E "$3" "$log"
}

# guest_wait_ready NAME... - wait until guests have booted.  Now and then a start
# under emulation hangs or resets in the kernel's first instructions, with or
# without our module.  Such a start is repeated, and said to be; one that came as
# far as the guest's first program never is, as that would hide our own failures.
guest_wait_ready() {
	local name try
	for name; do
		try=1
		until guest_wait_line "$name" "$guest_bound" '^mrm-guest: ready'; do
			if grep -q '^mrm-guest:' "$guest_logs/$name.log" ||
			   [ "$try" = 3 ]; then
				libvirt_say "guest $name is not ready after $guest_bound s, start $try"
				guest_report "$name"
				return 1
			fi
			try=$((try + 1))
			guest_retries=$((guest_retries + 1))
			libvirt_say "guest $name never reached its init, start $try (repeated starts: $guest_retries)"
			virsh -q destroy "$name" 2>/dev/null
			guest_start "$name" || return
		done
	done
}

# guest_report NAME - show what is known of a guest that failed.
guest_report() {
	virsh domstate --reason "$1" >&2
	tail -n 20 "$guest_logs/$1.log" "/var/log/libvirt/qemu/$1.log" >&2
}

# guest_shutdown NAME... - have guests power off themselves, and wait.
guest_shutdown() {
	local name pid pids=()
	for name; do
		if pid=$(guest_pid "$name" 2>/dev/null); then
			pids+=("--pid=$pid")
			virsh -q shutdown "$name" || return
		fi
	done
	timeout "$guest_bound" tail "${pids[@]}" -s 0.1 -f /dev/null
}

# guest_destroy NAME... - end guests, keep their consoles in MRM_OUT, and forget
# them.
guest_destroy() {
	local name
	for name; do
		virsh -q destroy "$name" 2>/dev/null
		virsh -q undefine "$name" || return
		if [ -n "${MRM_OUT-}" ] && [ -e "$guest_logs/$name.log" ]; then
			cp "$guest_logs/$name.log" "$MRM_OUT/guest-$name.log"
			cp "/var/log/libvirt/qemu/$name.log" "$MRM_OUT/qemu-$name.log"
		fi
	done
}
