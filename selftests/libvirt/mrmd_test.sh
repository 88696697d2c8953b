#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# mrmd: settings in the guests' XML reach the kernel, whoever of mrmd, libvirt and
# the module is restarted; balloons are known for what they are; starts that do not
# fit are refused in words.

# shellcheck disable=SC2317 # check calls what is defined here
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mib=128
xmlns=https://kvm-mrm.org/xmlns/domain/1.0
metrics=127.0.0.1:9707
qemu_pid=

test_cleanup() {
	[ -z "$mrmd_pid" ] || mrmd_kill
	[ -z "$qemu_pid" ] || kill -9 "$qemu_pid"
	cp "$mrmd_log" "$MRM_OUT/mrmd.log"
	hook_remove
}

# status FILTER - what mrmd says of itself, through jq.
status() {
	"$mrmctl" status --json | jq -r "$1"
}

connected() {
	equal "$(status .libvirt)" true
}

# mrmd_knows GUEST KEY VALUE
mrmd_knows() {
	equal "$(status ".guests[] | select(.name == \"$1\") | .$2")" "$3"
}

# has_setting GUEST FILE VALUE - soon.
has_setting() {
	wait_until 20 vm_text_is "$@"
}

# settings GUEST ATTRIBUTES [OPTION]... - as virsh's users write them.
settings() {
	local name=$1 attributes=$2
	shift 2
	virsh -q metadata "$name" "$xmlns" --key mrm --set "<memory $attributes/>" "$@"
}

# xml_has GUEST TEXT [OPTION]... - our element in its XML.
xml_has() {
	local name=$1 text=$2
	shift 2
	virsh -q metadata "$name" "$xmlns" "$@" | tee /dev/stderr | grep -qF "$text"
}

in_both() {
	xml_has "$1" "$2" --live && xml_has "$1" "$2" --config
}

live_only() {
	xml_has "$1" "$2" --live && ! xml_has "$1" "$2" --config
}

mrmctl_sets() {
	"$mrmctl" set "$@"
}

# mrmctl_refuses TEXT ARGUMENT... - with a sentence that has TEXT.
mrmctl_refuses() {
	local text=$1 said
	shift
	said=$("$mrmctl" set "$@" 2>&1) && return 1
	echo "$said"
	[[ $said == *"$text"* ]]
}

mrmd_says() {
	grep -F "$1" "$mrmd_log"
}

# http_get PATH - from mrmd's metrics.
http_get() {
	exec 5<>"/dev/tcp/${metrics%:*}/${metrics#*:}"
	printf 'GET %s HTTP/1.0\r\n\r\n' "$1" >&5
	timeout 20 cat <&5
	exec 5>&-
}

metrics_served() {
	local text
	text=$(http_get /metrics)
	grep -E '^(HTTP|Content-Type|mrm_vms|mrm_vm_adopted|mrm_libvirt|# EOF)' <<<"$text"
	grep -q '^HTTP/1.[01] 200' <<<"$text" &&
		grep -q "^mrm_vm_adopted_bytes{vm=\"a\",pid=\"$(guest_pid a)\"} [1-9]" <<<"$text" &&
		equal "$(tail -n 1 <<<"$text")" '# EOF'
}

# qemu_starts SOCKET - a VM without libvirt.
qemu_starts() {
	qemu-system-x86_64 -accel kvm -cpu host -m 128 -name guest=bare -nodefaults \
		-display none -serial "file:$guest_logs/bare.log" -device virtio-balloon \
		-kernel "$guest_kernel" -initrd "$guest_initrd" \
		-append 'console=ttyS0 quiet panic=-1' \
		-qmp "unix:$1,server=on,wait=off" >"$libvirt_test_dir/qemu.log" 2>&1 &
	qemu_pid=$!
	wait_until 30 test -S "$1" && wait_until 30 test -e "$mrm/vm/$qemu_pid"
}

# changes GUEST SALT [OPTION]... - by virsh, and the kernel has it.
changes() {
	settings "$1" "salt='$2'" --live && has_setting "$1" salt "$2"
}

left_out() {
	settings a "salt='x' mni='1GiB'" --live && wait_until 20 mrmd_says mni &&
		vm_text_is a salt two
}

sets_both() {
	mrmctl_sets a salt=three && vm_text_is a salt three && in_both a 'salt="three"'
}

sets_live() {
	mrmctl_sets --live a salt=four && vm_text_is a salt four && live_only a 'salt="four"'
}

# Each is on unless the XML says otherwise.
sets_switches() {
	mrmctl_sets a share=off large=off && vm_text_is a share 0 &&
		vm_text_is a alloc_guest_large_page 0 && in_both a 'share="off"' &&
		mrmctl_sets a share= large= && has_setting a share 1 &&
		has_setting a alloc_guest_large_page 1
}

# By virsh, and so by mrmd.
sets_switches_in_xml() {
	settings a "share='off' large='off'" --live && has_setting a share 0 &&
		has_setting a alloc_guest_large_page 0 && settings a "salt='six'" --live &&
		has_setting a salt six && has_setting a share 1 && has_setting a alloc_guest_large_page 1
}

# What was stopped by hand does not begin because something else is set.
leaves_switches() {
	local failed=0
	echo 0 >"$(vm_dir a)/share"
	settings a "salt='seven'" --live && has_setting a salt seven &&
		! wait_until 3 vm_text_is a share 1 || failed=1
	echo 1 >"$(vm_dir a)/share"
	return "$failed"
}

# unasked N - so many guests started without being asked for, and that is a problem.
unasked() {
	equal "$(status .unasked_starts)" "$1" &&
		equal "$("$mrmctl" doctor --json | jq '[.[] | select(.text | test("unasked"))] | length')" \
			$(($1 > 0))
}

starts_anew() {
	# It may have failed before.
	virsh -q destroy a || :
	wait_until 30 no_vms && guest_start a &&
		wait_until 20 mrmd_knows a listed true
}

starts_unasked() {
	hook_remove && kill -HUP "$(cat /run/libvirtd.pid)" && starts_anew &&
		mrmd_says "libvirt did not ask" && hook_put && unasked 1
}

# It does so in a thread of its own.
reloads() {
	kill -HUP "$(cat /run/libvirtd.pid)" && wait_until "$slow" asks_again
}

asks_again() {
	starts_anew && unasked 0
}

sets_config() {
	mrmctl_sets b min=64MiB salt=s && xml_has b 'min="64MiB"' --config
}

# On a budget that this min does not fit into.
does_not_fit() {
	local saved failed=0
	saved=$(counter limit_bytes) && echo $((96 << 20)) >"$mrm/limit_bytes" &&
		settings b "min='96MiB'" --config && start_refused b "MiB are unreserved" || failed=1
	echo "$saved" >"$mrm/limit_bytes"
	return "$failed"
}

# A guest that was admitted and is on its way: what it will have always nobody else gets, but
# what is left.  Of 203 MiB that are unreserved it will have all of its 128, as it has no balloon
# and there is no swap; the other one keeps 64.  The next mrmd knows it, too.
is_promised() {
	local saved failed=0
	saved=$(counter limit_bytes) && echo $((216 << 20)) >"$mrm/limit_bytes" &&
		virsh -q dumpxml --inactive b | "$mrmctl" admit b &&
		mrmd_kill && mrmd_start --metrics "$metrics" &&
		wait_until 20 mrmd_knows a listed true &&
		mrmctl_refuses "guests that are starting" --live a min=100MiB &&
		vm_counter_is a min_bytes -eq 0 && mrmctl_sets --live a min=10MiB &&
		"$mrmctl" admit --stop b && mrmctl_sets --live a min=100MiB || failed=1
	mrmctl_sets --live a min=
	echo "$saved" >"$mrm/limit_bytes"
	return "$failed"
}

not_twice() {
	! "$mrmctl" qmp bare "$1"
}

sets_bare() {
	mrmctl_sets bare salt=bare && equal "$(cat "$mrm/vm/$qemu_pid/salt")" bare
}

knows_guests() {
	equal "$(status '.guests | length')" "$1"
}

starts_unlisted() {
	guest_start "$1" && wait_until 30 mrmd_knows "$1" listed false
}

# listed GUEST SALT - it is in the kernel's list, and has its setting.
listed() {
	wait_until 20 mrmd_knows "$1" listed true && has_setting "$1" salt "$2"
}

load_and_tell() {
	module_load && listed "$@"
}

reload_and_tell() {
	module_unload && load_and_tell "$@"
}

# The balloon goes where the kernel wants it, as the guest is idle.
steered() {
	local target
	target=$(vm_counter "$1" balloon_target_bytes)
	is "$target" -gt 0 && vm_counter_is "$1" balloon_bytes -ge $((target - (1 << 20)))
}

# It has touched all of its memory, and needs half of it.  6 per cent are to stay free, and
# there are 3: in the state soft the host takes nothing from one whose balloon follows.
limit_to_what_it_has() {
	echo $(($(vm_counter "$1" consumed_bytes) * 103 / 100)) >"$mrm/limit_bytes"
}

squeeze() {
	limit_to_what_it_has "$1" && wait_until "$slow" steered "$1"
}

# ignored NAME N - mrmd has said more than N times that it is unresponsive.
ignored() {
	is "$(grep -c "guest $1: balloon unresponsive" "$mrmd_log")" -gt "$2"
}

# Stopped, it ignores its target; when it goes on, it follows.  The host takes what it does not
# give, and then nothing is asked of it: it may be unresponsive for a moment only.
ignores() {
	local before
	before=$(grep -c "guest $1: balloon unresponsive" "$mrmd_log")
	virsh -q suspend "$1" && limit_to_what_it_has "$1" &&
		wait_until "$slow" ignored "$1" "$before" &&
		virsh -q resume "$1" && wait_until "$slow" vm_text_is "$1" balloon_state ok
}

lets_go() {
	echo 0 >"$mrm/limit_bytes"
	wait_until "$slow" vm_counter_is "$1" balloon_bytes -eq 0
}

test_begin '?'
# What the host takes by itself, or shares, no balloon is asked for.
echo 0 >"$mrm/zip_max"
echo 0 >"$mrm/share_cpu_max"
say "mrmd is tried with libvirt $(libvirtd --version)"
hook_install || bail "libvirt does not start"
define a "$mib" --run 'memcheck -t -i 3000 20' \
	--domain "<metadata><mrm:memory xmlns:mrm='$xmlns' salt='one'/></metadata>"
define b "$mib" --devices "<memballoon model='none'/>" \
	--domain "<metadata><mrm:memory xmlns:mrm='$xmlns' min='4GiB'/></metadata>"

check "a guest starts without mrmd" guest_start a
check "mrmd starts" mrmd_start --metrics "$metrics"
check "and finds libvirt" wait_until 20 connected
check "a guest that boots is known to" wait_until 20 mrmd_knows a balloon_state booting
check "a guest that runs already has what its XML says" has_setting a salt one
check "it boots" guest_wait_ready a
check "with a driver for its balloon" wait_until 30 mrmd_knows a balloon_state ok

check "a change of the XML is applied" changes a two
check "one that is wrong is left out, and said" left_out
check "mrmctl repairs nothing that it does not understand" mrmctl_refuses mni a salt=y
settings a "salt='two'" --live
check "mrmctl sets the running guest and its XML" sets_both
check "or the running guest alone" sets_live
check "and whether it shares, or has large pages" sets_switches
check "as the XML does" sets_switches_in_xml
check "of which it says nothing is left alone" leaves_switches
check "or a guest that is off" sets_config
check "it refuses what cannot be" mrmctl_refuses "its min, 1GiB, is more than its memory" b min=1GiB
check "nor a max" mrmctl_refuses "its max, 1GiB, is more than its memory" b max=1GiB
check "and a guest that is not there" mrmctl_refuses "no such guest" nobody salt=x

check "kill -9 of mrmd" mrmd_kill
check "changed meanwhile" settings a "salt='five'" --live
check "mrmd starts again" mrmd_start --metrics "$metrics"
check "and applies the change" has_setting a salt five
check "and knows the balloon" wait_until 30 mrmd_knows a balloon_state ok

libvirt_stop
libvirt_start || bail "libvirt does not start again"
check "libvirt is restarted, and found again" wait_until 60 connected
check "its events come again" changes a six
check "metrics are served" metrics_served

if [ -e "$(vm_dir a)/balloon_target_bytes" ]; then
	check "on a small budget, the balloon goes to its target" squeeze a
	check "a guest that ignores it is known to" ignores a
	check "and on a large one it lets go" lets_go a
else
	skip "balloons go to their targets" "the module has no balloon_target_bytes"
fi

settings b "min='4GiB'" --config
check "a start that cannot be is refused in words" \
	start_refused b "its min, 4GiB, is more than its memory"
if [ -e "$mrm/unreserved_bytes" ]; then
	check "one that does not fit is, too" does_not_fit
	check "what a guest was promised that is starting another cannot have" is_promised
else
	skip "starts that do not fit" "the module has no unreserved_bytes"
fi
settings b "salt='b'" --config
check "another one is not" guest_start b
check "a guest without a balloon is known to be" wait_until 20 mrmd_knows b balloon_state absent
check "its settings are applied" has_setting b salt b
virsh -q destroy b
settings b "min='${mib}MiB'" --config
check "one that is to have all of its memory always" guest_start b
check "is promised it, though the kernel sees that bit by bit" \
	wait_until 40 vm_counter_is b min_bytes -eq $((mib << 20))
virsh -q destroy b
settings b "salt='b'" --config
kill -STOP "$mrmd_pid"
check "a mrmd that does not answer keeps no guest from starting" guest_start b
kill -CONT "$mrmd_pid"
check "it goes on where it was" wait_until 20 mrmd_knows b balloon_state absent
virsh -q destroy b

# One guest at a time has the processor.
virsh -q suspend a
socket=$libvirt_test_dir/qmp
check "a VM without libvirt" qemu_starts "$socket"
check "is given to mrmd" "$mrmctl" qmp bare "$socket"
check "boots" guest_wait_line bare "$guest_bound" '^mrm-guest: ready'
check "which drives its balloon" wait_until "$slow" mrmd_knows bare balloon_state ok
check "not twice" not_twice "$socket"
mrmd_kill
mrmd_start --metrics "$metrics"
check "and again after a restart" wait_until 30 mrmd_knows bare balloon_state ok
check "mrmctl sets it, too" sets_bare
kill -9 "$qemu_pid"
check "it ends, and is forgotten" wait_until 30 knows_guests 1
qemu_pid=

virsh -q destroy a
wait_until 30 no_vms
check "the module is unloaded" module_unload
check "a guest starts, and is not known to it" starts_unlisted a
check "the module is loaded, and told" load_and_tell a three
check "and again" reload_and_tell a three
virsh -q setmem a 112M --config
settings a "salt='current'" --live
check "<currentMemory> is a guest's max" has_setting a max_bytes $((112 << 20))
settings a "max='120MiB'" --live
check "unless it is given one" has_setting a max_bytes $((120 << 20))
virsh -q setmem a "${mib}M" --config
settings a "salt='three'" --live
check "or has all of its memory" has_setting a max_bytes $((mib << 20))
check "mrmd ends" mrmd_end
virsh -q destroy a
check "guests start without it" guest_start a
check "it starts once more" mrmd_start --metrics "$metrics"
check "it finds libvirt" wait_until 20 connected
check "that libvirt does not know its hook is noticed" starts_unasked
check "until it is reloaded" reloads
test_end
