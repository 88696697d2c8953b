# SPDX-License-Identifier: GPL-2.0
#
# "make help" lists the targets.  The module itself is described in Kbuild.

KDIR ?= /lib/modules/$(shell uname -r)/build
DESTDIR ?=
PREFIX ?= /usr/local

# Of the kernel whose headers KDIR has.
release = $(shell $(MAKE) -s -C $(KDIR) kernelrelease)
version := $(shell sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog)
dkms_module := kvm-mrm/$(version)
dkms_source := /usr/src/kvm-mrm-$(version)

all: module

module:				## build kvm_mrm.ko for the running kernel (KDIR=... for another)
	@test -d $(KDIR) || { echo "no kernel headers at $(KDIR): install linux-headers-$$(uname -r)," \
		"or name others with KDIR=" >&2; exit 1; }
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules

user:				## build mrmctl and mrmd
	$(MAKE) -C userspace

install: module user		## install module, mrmctl, mrmd, man pages and completion (DESTDIR, PREFIX)
	$(MAKE) -C $(KDIR) M=$(CURDIR) $(if $(DESTDIR),INSTALL_MOD_PATH=$(DESTDIR)) \
		INSTALL_MOD_DIR=updates modules_install
	$(MAKE) -C userspace install DESTDIR=$(DESTDIR) PREFIX=$(PREFIX)
	$(if $(DESTDIR),,depmod -a)

uninstall:			## remove what install put there (the same DESTDIR, PREFIX, KDIR)
	rm -f $(DESTDIR)/lib/modules/$(release)/updates/kvm_mrm.ko*
	$(MAKE) -C userspace uninstall DESTDIR=$(DESTDIR) PREFIX=$(PREFIX)
	$(if $(DESTDIR),,depmod -a $(release))

dkms:				## give the module's source to DKMS, which builds it for each kernel
	@command -v dkms >/dev/null || { echo "dkms is not installed: apt install dkms" >&2; exit 1; }
	install -D -m 644 debian/changelog $(dkms_source)/debian/changelog
	cp -r Kbuild include src LICENSE $(dkms_source)/
	sed 's/#MODULE_VERSION#/$(version)/' dkms.conf >$(dkms_source)/dkms.conf
	dkms install $(dkms_module)

dkms-remove:			## take it away again, from all kernels
	dkms remove $(dkms_module) --all
	rm -rf $(dkms_source)

deb:				## build the Debian packages into build/deb, and run lintian
	@scripts/deb

demo:				## watch four libvirt guests share memory on the test host (5 minutes)
	@scripts/host --mem 4G --budget 600 -- scripts/demo

test:				## unit tests, then selftests on the test host, on 6.12 and 6.1
	@scripts/test

test-all:			## the same on 7.2, the debug kernel and EPT as well (four hours on two processors)
	@MRM_STOP_SECONDS=60 scripts/test 6.12 6.1 7.2 debug ept

test-faults:			## while every 97th allocation fails that is made for the module (debug kernel)
	@MRM_OVERCOMMIT_SECONDS=120 scripts/test --faults 97

test-kcsan:			## those that drive /dev/kvm, on a kernel that looks for data races
	@scripts/test kcsan

test-guests:			## all tests with whole libvirt guests (40 minutes)
	@scripts/test --guests

MINUTES ?= 10
soak:				## guests come and go on the debug kernel for MINUTES=10 [SEED=N]
	@scripts/host --kernel debug --smp 1 --budget $$(($(MINUTES) * 60 + 5400)) -- \
		env MRM_SOAK_MINUTES=$(MINUTES) $(if $(SEED),MRM_SOAK_SEED=$(SEED)) \
			selftests/run --soak

test-ept:			## the tests that drive /dev/kvm, on Intel's EPT in Bochs
	@scripts/test ept

test-package:			## install, boot and remove the Debian packages on Debian 13 and 12
	@scripts/test-package

test-release:			## all of these, one after the other, as before a release (a day)
	@for target in test-all test-guests test-package test-faults test-kcsan; do \
		$(MAKE) $$target || exit; done
	@$(MAKE) soak MINUTES=60

bench-share:			## the same guests under KSM and under us, in one run
	@scripts/host --budget 1800 -- selftests/bench/bench-share

bench-reclaim:			## the same guest on zram, zswap, swap and ours, in one run (10 minutes)
	@scripts/host --smp 1 --scratch 1G --budget 3600 -- selftests/bench/bench-reclaim

bench-neighbour:		## a busy guest beside one that the host reclaims (35 minutes)
	@scripts/host --mem 4G --smp 1 --scratch 1G --budget 3600 -- selftests/bench/bench-neighbour

bench-paging:			## double paging, silent writes: ours and the kernel's swap (20 minutes)
	@scripts/host --mem 4G --smp 1 --scratch 1G --budget 3600 -- selftests/bench/bench-paging

bench-large:			## guests on pages of 2 MiB: ours, THP, hugetlbfs, and 4 KiB (half an hour)
	@scripts/host --mem 4G --smp 1 --budget 5400 -- selftests/bench/bench-large

bench-io:			## guests' disks on one that reaches 32 bits of address: copies (40 minutes)
	@scripts/host --smp 1 --ide 200M --budget 5400 -- selftests/bench/bench-io
	@scripts/host --smp 1 --scratch 200M --budget 3600 -- env MRM_BENCH_TURNS=1 \
		MRM_FIO_DISK=/dev/disk/by-id/virtio-scratch selftests/bench/bench-io

bench-policy:			## the same guests under mrmd, Proxmox's rule and MoM's (half an hour)
	@scripts/host --mem 4G --smp 1 --budget 3600 -- selftests/bench/bench-policy

figures:			## the paper's figures 2, 6, 7 and 8, measured and drawn (40 minutes)
	@scripts/figures

style:				## checkpatch, sparse, clang-format, shellcheck
	@scripts/style

check-host:			## test the test host itself
	@scripts/self-check-host

clean:				## remove what was built in the tree
	$(MAKE) -C $(KDIR) M=$(CURDIR) clean
	$(MAKE) -C userspace clean

help:				## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | \
		while IFS='|' read -r target text; do printf '  make %-14s %s\n' "$$target" "$$text"; done

.PHONY: all module user install uninstall dkms dkms-remove deb demo test test-all test-guests soak test-ept test-package test-faults test-kcsan test-release bench-share bench-reclaim bench-neighbour bench-paging bench-large bench-io bench-policy figures style check-host clean help
