// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/vhost.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vhost.h"

#define VHOST	"/dev/vhost-net"
#define SENDS	1		/* the second ring is the one that sends */
#define FRAME	(2 * ETH_ALEN + 2 + 64)	/* bytes, of whatever the guest page holds */
#define WAIT_MS	10000

/* What is sent is nobody's, and a frame on it disturbs nobody. */
#define LOOPBACK	"lo"

/**
 * struct ring - the driver's and the device's part of a queue, in memory that is not the guest's
 * @desc: what is to be sent
 * @avail: how much of it; the ids of descriptors follow
 * @ids: these
 * @used: how much was; its elements follow
 * @done: these
 */
struct ring {
	struct vring_desc desc[VHOST_MOST];
	struct vring_avail avail;
	__virtio16 ids[VHOST_MOST + 1];
	struct vring_used used __attribute__((aligned(VRING_USED_ALIGN_SIZE)));
	struct vring_used_elem done[VHOST_MOST + 1];
};

/* A socket that what is sent goes to.  Return: it, or a negative errno. */
static int loopback(void)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET };
	struct ifreq lo = { .ifr_name = LOOPBACK };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	to.sll_ifindex = if_nametoindex(LOOPBACK);
	if (!ioctl(fd, SIOCGIFFLAGS, &lo)) {
		lo.ifr_flags |= IFF_UP;
		if (!ioctl(fd, SIOCSIFFLAGS, &lo) &&
		    !bind(fd, (struct sockaddr *)&to, sizeof(to)))
			return fd;
	}
	err = -errno;
	close(fd);
	return err;
}

/**
 * vhost_here() - is there vhost, and what it sends to?  Its module is loaded if there is.
 * Return: true if so.
 */
bool vhost_here(void)
{
	int socket = loopback();

	if (socket < 0)
		return false;
	close(socket);
	return !system("modprobe -q vhost_net") && !access(VHOST, R_OK | W_OK);
}

/* The guest's RAM, from the address that the guest knows it by. */
static int set_memory(int fd, const struct vm *vm)
{
	struct {
		struct vhost_memory all;
		struct vhost_memory_region ram;
	} memory = {
		.all.nregions = 1,
		.ram.guest_phys_addr = 0,
		.ram.memory_size = vm->config.pages * PAGE_SIZE,
		.ram.userspace_addr = (unsigned long)vm->view.ram,
	};

	return ioctl(fd, VHOST_SET_MEM_TABLE, &memory);
}

static int set_ring(int fd, struct ring *ring, int kick, int call)
{
	struct vhost_vring_state size = { SENDS, VHOST_MOST }, base = { SENDS, 0 };
	struct vhost_vring_file kicked = { SENDS, kick }, called = { SENDS, call };
	struct vhost_vring_addr at = {
		.index = SENDS,
		.desc_user_addr = (unsigned long)ring->desc,
		.avail_user_addr = (unsigned long)&ring->avail,
		.used_user_addr = (unsigned long)&ring->used,
	};

	return ioctl(fd, VHOST_SET_VRING_NUM, &size) || ioctl(fd, VHOST_SET_VRING_BASE, &base) ||
	       ioctl(fd, VHOST_SET_VRING_ADDR, &at) || ioctl(fd, VHOST_SET_VRING_KICK, &kicked) ||
	       ioctl(fd, VHOST_SET_VRING_CALL, &called);
}

/* Until all of it is sent.  Return: 0 or a negative errno. */
static long send_all(struct ring *ring, unsigned int n, int kick, int call)
{
	struct pollfd said = { .fd = call, .events = POLLIN };
	eventfd_t unused;

	__atomic_store_n(&ring->avail.idx, n, __ATOMIC_RELEASE);
	if (eventfd_write(kick, 1))
		return -errno;
	while (__atomic_load_n(&ring->used.idx, __ATOMIC_ACQUIRE) != n) {
		if (poll(&said, 1, WAIT_MS) != 1 || eventfd_read(call, &unused))
			return -ETIMEDOUT;
	}
	return 0;
}

/**
 * vhost_send() - have the beginning of guest pages sent, for process_call()
 * @vm: the VM
 * @work: a struct guest_work: from which on, and how many, VHOST_MOST at the most
 * Return: 0 or a negative errno.
 */
long vhost_send(struct vm *vm, void *work)
{
	const struct guest_work *w = work;
	__u64 features = 1ULL << VHOST_NET_F_VIRTIO_NET_HDR;
	struct vhost_vring_file backend = { .index = SENDS };
	int fd = open(VHOST, O_RDWR | O_CLOEXEC), kick = eventfd(0, EFD_CLOEXEC);
	int call = eventfd(0, EFD_CLOEXEC);
	struct ring *ring = calloc(1, sizeof(*ring));
	long err = 0;

	backend.fd = loopback();
	if (fd < 0 || kick < 0 || call < 0 || !ring || backend.fd < 0 || w->count > VHOST_MOST)
		err = -EINVAL;
	if (!err) {
		for (size_t i = 0; i < w->count; i++) {
			ring->desc[i] = (struct vring_desc){
				.addr = (w->first + i) * PAGE_SIZE,
				.len = sizeof(struct virtio_net_hdr) + FRAME,
			};
			ring->avail.ring[i] = i;
		}
		if (ioctl(fd, VHOST_SET_OWNER) || ioctl(fd, VHOST_SET_FEATURES, &features) ||
		    set_memory(fd, vm) || set_ring(fd, ring, kick, call) ||
		    ioctl(fd, VHOST_NET_SET_BACKEND, &backend))
			err = -errno;
	}
	if (!err)
		err = send_all(ring, w->count, kick, call);
	/* First, so that nobody uses the ring when it is freed. */
	close(fd);
	close(kick);
	close(call);
	close(backend.fd);
	free(ring);
	return err;
}
