#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# apt installs the packages, and that is all there is to do.

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

apt_install() {
	apt-get -q -y install "$share"/packages/*.deb
}

configured() {
	dpkg-query -W -f '${Package} ${Status}\n' "${packages[@]}" &&
		[ "$(dpkg-query -W -f '${Status}\n' "${packages[@]}" | sort -u)" = "install ok installed" ]
}

built_by_dkms() {
	local status
	status=$(dkms status kvm-mrm)
	echo "$status"
	grep -q "$(uname -r).*: installed$" <<<"$status"
}

# dkms_says TEXT KERNEL [OPTION]... - of a kernel that is not here.
dkms_says() {
	local text=$1 kernel=$2 said
	shift 2
	said=$(dkms build -m kvm-mrm -v "$version" -k "$kernel" "$@" 2>&1)
	echo "$kernel: status $?, $said"
	[[ $said == *$text* ]]
}

# As dkms.conf has it.  One for which it would build lacks its headers here.
for_supported_kernels_only() {
	local kernel version excluded='includes a BUILD_EXCLUSIVE directive'
	version=$(dpkg-query -W -f '${Version}' kvm-mrm-dkms)
	for kernel in 5.10.0-1-amd64 6.0.0-1-amd64; do
		dkms_says "$excluded" "$kernel" || return
	done
	for kernel in 6.1.0-1-amd64 6.12.0-1-amd64 7.2.0-1-amd64; do
		dkms_says "headers for kernel $kernel cannot be found" "$kernel" || return
	done
	mkdir /tmp/without_kvm && echo 'CONFIG_KPROBES=y' >/tmp/without_kvm/.config &&
		dkms_says "$excluded" 6.12.0-1-amd64 --kernelsourcedir /tmp/without_kvm
}

# As Documentation/install.md has it for Secure Boot.
signed_by_dkms() {
	modinfo -F signer kvm_mrm && [ -n "$(modinfo -F signer kvm_mrm)" ] &&
		[ -s /var/lib/dkms/mok.pub ]
}

has_all_of() {
	local file
	for file in /usr/bin/mrmctl /usr/share/man/man8/mrmctl.8.gz /usr/sbin/mrmd \
		/usr/share/man/man8/mrmd.8.gz /etc/libvirt/hooks/qemu.d/mrm \
		/usr/share/man/man4/kvm_mrm.4.gz /usr/share/bash-completion/completions/mrmctl \
		/usr/lib/modules-load.d/kvm-mrm.conf /usr/share/kvm-mrm/grafana.json \
		/usr/share/kvm-mrm/alerts.yml /usr/share/doc/kvm-mrm/install.md.gz; do
		installed_files | grep -qx "$file" || { echo "no $file"; return 1; }
		[ -s "$file" ] || { echo "nothing in $file"; return 1; }
	done
	systemctl cat mrmd | grep '^ExecStart=/usr/sbin/mrmd' && systemctl is-enabled mrmd
}

man_pages() {
	local page
	for page in mrmctl.8 mrmd.8 kvm_mrm.4; do
		zcat "/usr/share/man/man${page#*.}/$page.gz" |
			grep -i "^\.TH ${page%.*} ${page#*.}" || return
	done
}

completes() {
	local COMP_WORDS=(mrmctl doc) COMP_CWORD=1 COMPREPLY=()
	. /usr/share/bash-completion/completions/mrmctl && complete -p mrmctl && _mrmctl
	[ "${COMPREPLY[*]}" = doctor ]
}

one_version() {
	local version
	version=$(dpkg-query -W -f '${Version}' kvm-mrm)
	mrmctl version && [ "$(mrmctl version)" = "mrmctl $version"$'\n'"kvm_mrm $version" ]
}

mrmd_runs() {
	systemctl --no-pager status mrmd
	systemctl -q is-active mrmd && mrmctl status | tee /dev/stderr | grep -q 'kvm_mrm loaded'
}

no_problem() {
	mrmctl doctor
}

all_files >"$share/out/before"
check "nothing is loaded or installed before" not module_loaded
check "apt installs kvm-mrm, kvm-mrm-dkms and what they need" apt_install
check "both are configured" configured
check "DKMS has built and installed the module for this kernel" built_by_dkms
check "and signed it with the key of the machine" signed_by_dkms
check "DKMS builds it for kernels that are supported, and for no other" for_supported_kernels_only
check "tools, man pages, completion, unit and modules-load.d are there" has_all_of
check "the man pages are of what they are called by" man_pages
check "mrmctl's arguments are completed" completes
check "the module is loaded" module_loaded
check "it is the one that DKMS built" module_is_ours
check "package, mrmctl and module have the same version" one_version
check "mrmd runs, and has the module" mrmd_runs
check "mrmctl doctor sees no problem" no_problem
finish
