# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# What the tests of the Debian packages have in common.  They run as a part of the
# boot of a Debian system of their own (scripts/test-package), as root, and find the
# packages, the selftests and a place for what is to last in $share.

share=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
packages=(kvm-mrm kvm-mrm-dkms)
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
points=0 failures=0
log=$share/out/last

# check NAME COMMAND... - one point: COMMAND succeeds.  What it says is shown if not.
check() {
	local name=$1 start=$SECONDS
	shift
	points=$((points + 1))
	if "$@" >"$log" 2>&1; then
		echo "ok $points - $name"
	else
		failures=$((failures + 1))
		echo "not ok $points - $name"
		tail -n 60 "$log" | sed 's/^/# /'
	fi
	if [ $((SECONDS - start)) -ge 20 ]; then
		echo "# took $((SECONDS - start)) s"
	fi
}

finish() {
	echo "1..$points"
	[ "$failures" = 0 ]
}

# What udev loads, kvm_amd for instance, may be on its way.
udevadm settle

installed_files() {
	dpkg -L "${packages[@]}"
}

module_loaded() {
	[ -d /sys/kernel/mrm ]
}

not() {
	! "$@"
}

# The one that runs is the one that DKMS built.
module_is_ours() {
	local module
	module=$(modinfo -n kvm_mrm) && echo "$module" &&
		[[ $module == */updates/dkms/* ]] &&
		[ "$(modinfo -F srcversion "$module")" = "$(</sys/module/kvm_mrm/srcversion)" ]
}

# copy_module FILE - the module that DKMS built, as insmod takes it.
copy_module() {
	local module
	module=$(modinfo -n kvm_mrm) || return
	case $module in
	*.xz) xz -dc "$module" ;;
	*) cat "$module" ;;
	esac >"$1"
}

# all_files - everything there is on this system, and what is in /etc, but for what
# changes by itself, what apt and dpkg know of packages in general, what ldconfig keeps of any
# library, and the key that DKMS makes for the machine, once, for all modules, in its directory.
all_files() {
	find / -xdev \( -path /tmp -o -path /var/tmp -o -path /var/log -o -path /var/lib/systemd \
		-o -path /var/lib/apt -o -path /var/lib/dpkg -o -path /var/cache/apt \
		-o -path /var/cache/debconf -o -path /root \
		-o -path /var/cache/ldconfig/aux-cache -o -path '/var/lib/dkms/mok.*' \) \
		-prune -o ! -path /var/lib/dkms -printf '%y %p\n' | sort
	find /etc -type f ! -name ld.so.cache -print0 | sort -z | xargs -0 sha256sum
}
