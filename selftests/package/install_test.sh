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
		/usr/lib/modules-load.d/kvm-mrm.conf; do
		installed_files | grep -qx "$file" || { echo "no $file"; return 1; }
	done
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
check "tools, man pages, completion and modules-load.d are there" has_all_of
check "the module is loaded" module_loaded
check "it is the one that DKMS built" module_is_ours
check "package, mrmctl and module have the same version" one_version
check "mrmd runs, and has the module" mrmd_runs
check "mrmctl doctor sees no problem" no_problem
finish
