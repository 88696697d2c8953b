// SPDX-License-Identifier: GPL-2.0
/*
 * mrmd - has guests give and get the memory that kvm_mrm decides on, through their
 * balloons, and tells kvm_mrm what their owners asked for.
 */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libvirt/libvirt.h>
#include <libxml/parser.h>
#include <systemd/sd-daemon.h>

#include "client.h"
#include "control.h"
#include "guest.h"
#include "http.h"
#include "libvirt_pid.h"
#include "log.h"
#include "module.h"
#include "qmp.h"
#include "swap.h"
#include "virt.h"
#include "work.h"

/**
 * struct settings - what the command line says
 * @uri: of libvirt
 * @sysfs: where the module's files are
 * @metrics: where to serve metrics, or NULL
 * @swap: directory of swap files, or "none"
 */
struct settings {
	const char *uri;
	const char *sysfs;
	const char *metrics;
	const char *swap;
};

static bool stop;

static void stopped(int handle, int fd, int events, void *data)
{
	(void)handle;
	(void)fd;
	(void)events;
	(void)data;
	stop = true;
}

/* Before there are threads, so that none of them is interrupted. */
static int catch_signals(void)
{
	sigset_t set;
	int fd;

	/* libvirt's library writes to a daemon that may be gone: it hangs up on us when
	 * we were stopped for long.
	 */
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	return virEventAddHandle(fd, VIR_EVENT_HANDLE_READABLE, stopped, NULL, NULL) < 0 ? -ENOMEM
											 : 0;
}

static void watchdog_over(int timer, void *data)
{
	(void)timer;
	(void)data;
	sd_notify(0, "WATCHDOG=1");
}

static int start_watchdog(void)
{
	uint64_t us;

	if (sd_watchdog_enabled(0, &us) <= 0)
		return 0;
	return virEventAddTimeout(us / 2000, watchdog_over, NULL, NULL) < 0 ? -ENOMEM : 0;
}

static void usage(FILE *file)
{
	fprintf(file,
		"Usage: mrmd [--connect URI] [--metrics ADDRESS] [--swap DIR | none]\n"
		"\n"
		"Drives the balloons of this host's guests to what kvm_mrm decides, and applies the\n"
		"settings in their XML.  It stays in the foreground, and logs to standard error.\n"
		"\n"
		"  -c, --connect URI      libvirt (default: %s)\n"
		"  -m, --metrics ADDRESS  serve metrics for Prometheus at 127.0.0.1:PORT, [::1]:PORT\n"
		"                         or unix:PATH (default: nowhere)\n"
		"  -s, --swap DIR         make a swap file in DIR for each VM, of its max less its min;\n"
		"                         \"none\" makes none (default: %s)\n"
		"      --sysfs DIR        the module's files (default: %s)\n"
		"  -h, --help             this\n"
		"  -V, --version          the version\n",
		MRM_LIBVIRT_URI, MRM_SWAP, MRM_SYSFS);
}

/* Returns -1 to go on, or the status to exit with. */
static int parse(int argc, char **argv, struct settings *settings)
{
	static const struct option options[] = {
		{ "connect", required_argument, NULL, 'c' },
		{ "metrics", required_argument, NULL, 'm' },
		{ "swap", required_argument, NULL, 's' },
		{ "sysfs", required_argument, NULL, 'S' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int letter;

	while ((letter = getopt_long(argc, argv, "c:m:s:hV", options, NULL)) != -1) {
		switch (letter) {
		case 'c':
			settings->uri = optarg;
			break;
		case 'm':
			settings->metrics = optarg;
			break;
		case 's':
			settings->swap = optarg;
			break;
		case 'S':
			settings->sysfs = optarg;
			break;
		case 'h':
			usage(stdout);
			return 0;
		case 'V':
			printf("mrmd %s\n", MRM_VERSION);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind == argc)
		return -1;
	usage(stderr);
	return 2;
}

static int failed(const char *what, int error)
{
	log_error("%s: %s", what, strerror(-error));
	return 1;
}

int main(int argc, char **argv)
{
	struct settings settings = {
		.uri = MRM_LIBVIRT_URI,
		.sysfs = MRM_SYSFS,
		.swap = MRM_SWAP,
	};
	int error, status;

	setlocale(LC_CTYPE, "");
	status = parse(argc, argv, &settings);
	if (status >= 0)
		return status;
	xmlInitParser();
	if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0)
		return failed("libvirt", -EIO);
	error = catch_signals();
	if (error)
		return failed("signals", error);
	error = work_init();
	if (!error)
		error = guests_init();
	if (!error)
		error = start_watchdog();
	if (error)
		return failed("event loop", error);
	if (mkdir(MRM_RUN, 0755) < 0 && errno != EEXIST)
		return failed(MRM_RUN, -errno);
	error = control_init(MRM_SOCKET);
	if (error)
		return failed(MRM_SOCKET, error);
	/* Before the module's list of VMs is read.  Without swap there is all else. */
	if (strcmp(settings.swap, "none"))
		swap_init(settings.swap);
	error = module_init(settings.sysfs);
	if (error)
		return failed("events of the kernel", error);
	error = qmp_init(MRM_RUN "/qmp");
	if (error)
		return failed(MRM_RUN "/qmp", error);
	error = settings.metrics ? http_init(settings.metrics, settings.sysfs) : 0;
	if (error)
		return 1;
	error = virt_init(settings.uri);
	if (error)
		return failed("libvirt", error);
	sd_notify(0, "READY=1");
	while (!stop && virEventRunDefaultImpl() >= 0)
		;
	/* Balloons stay where they are, and the targets with them. */
	sd_notify(0, "STOPPING=1");
	log_notice("ending");
	http_end();
	unlink(MRM_SOCKET);
	return stop ? 0 : 1;
}
