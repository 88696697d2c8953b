// SPDX-License-Identifier: GPL-2.0
#include <linux/err.h>
#include <linux/highmem.h>
#include <linux/list.h>
#include <linux/local_lock.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/zsmalloc.h>

#include "checksum.h"
#include "compat.h"
#include "counters.h"
#include "vm.h"
#include "zip.h"
#include "zip_algorithm.h"

/**
 * struct mrm_zipped - what a guest page held, compressed
 * @node: in mrm_vm.zipped, oldest first
 * @index: the guest page
 * @handle: of the bytes, in the pool
 * @sum: checksum of them
 * @bytes: how many, up to MRM_ZIP_FIT
 * @algorithm: enum mrm_zip_algorithm
 */
struct mrm_zipped {
	struct list_head node;
	unsigned long index;
	unsigned long handle;
	u32 sum;
	u16 bytes;
	u8 algorithm;
};

unsigned long mrm_zip_max = MRM_ZIP_MAX_DEFAULT;

static enum mrm_zip_algorithm algorithm = MRM_LZ4;
static struct kmem_cache *cache;
static struct zs_pool *pool;

/* One page is compressed at a time; taken with frames locked, so no memory is waited for. */
static DEFINE_MUTEX(zip_lock);
/* Two do not prepare an algorithm at once. */
static DEFINE_MUTEX(prepare_lock);
static u8 buffer[MRM_ZIP_FIT];

/**
 * struct unzipping - what a processor needs to unzip
 * @lock: of it, and of what decompression works in
 * @copy: where an object that lies in two pages is put together; from 6.15 to 6.19 that
 *	may be more than it needs
 */
struct unzipping {
	local_lock_t lock;
	u8 copy[PAGE_SIZE];
};

static struct unzipping __percpu *unzipping;

#define COMPACT_SLACK	256	/* frames: one for each size of objects, and some */

/* Who zips does so for lack of memory, and holds page locks: it takes what there is. */
#define ZIP_GFP	(__GFP_NOWARN | __GFP_KSWAPD_RECLAIM)

/**
 * mrm_zip_set_algorithm() - how pages are compressed from now on
 * @word: "lz4" or "zstd", a newline may follow
 *
 * Context: May sleep.
 * Return: 0, -EINVAL or -ENOMEM.
 */
int mrm_zip_set_algorithm(const char *word)
{
	int i = sysfs_match_string(mrm_zip_words, word), err;

	if (i < 0)
		return i;
	mutex_lock(&prepare_lock);
	err = mrm_zip_algorithm_prepare(i);
	if (!err) {
		/* Ready before it is seen: pairs with mrm_zip(). */
		smp_store_release(&algorithm, i);
	}
	mutex_unlock(&prepare_lock);
	return err;
}

/**
 * mrm_zip_algorithm() - how pages are compressed
 * Return: in a word.
 */
const char *mrm_zip_algorithm(void)
{
	return mrm_zip_words[READ_ONCE(algorithm)];
}

/* So many bytes the VM may have. */
static u64 most_of(struct mrm_vm *vm)
{
	return (u64)atomic_long_read(&vm->adopted) * PAGE_SIZE * READ_ONCE(mrm_zip_max) / 100;
}

/* May the VM have so many bytes more? */
static bool fits_vm(struct mrm_vm *vm, u64 bytes)
{
	return mrm_counter_read(&vm->counters, MRM_ZIPPED_BYTES) + bytes <= most_of(vm);
}

/* What is in the buffer, as an object.  Context: zip_lock. */
static struct mrm_zipped *store(unsigned int bytes, enum mrm_zip_algorithm how)
{
	struct mrm_zipped *zipped = kmem_cache_alloc(cache, ZIP_GFP);

	if (!zipped)
		return ERR_PTR(-ENOMEM);
	zipped->handle = mrm_zs_malloc(pool, bytes, ZIP_GFP | __GFP_HIGHMEM | __GFP_MOVABLE);
	if (IS_ERR_VALUE(zipped->handle)) {
		kmem_cache_free(cache, zipped);
		return ERR_PTR(-ENOMEM);
	}
	zipped->sum = mrm_checksum(buffer, bytes);
	zipped->bytes = bytes;
	zipped->algorithm = how;
	mrm_zs_write(pool, zipped->handle, buffer, bytes);
	return zipped;
}

/**
 * mrm_zip_may() - may anything of a VM be zipped?
 * @vm: the VM
 *
 * Context: Any.
 * Return: false if it has as much as it may, or zipping is off.
 */
bool mrm_zip_may(struct mrm_vm *vm)
{
	/* Even what compresses to nothing needs some bytes. */
	return fits_vm(vm, MRM_ZIP_LEAST);
}

/**
 * mrm_zip_has_room() - may so many guest pages of a VM be zipped, whatever they need?
 * @vm: the VM
 * @pages: how many
 *
 * Context: Any.
 * Return: false if not; but true when three quarters of what it may have are free, however
 * little that is.
 */
bool mrm_zip_has_room(struct mrm_vm *vm, unsigned int pages)
{
	return fits_vm(vm, min_t(u64, pages * MRM_ZIP_FIT, most_of(vm) * 3 / 4));
}

/**
 * mrm_zip() - compress a frame
 * @vm: whose it is
 * @index: its guest page
 * @frame: the frame, whose contents hold still
 *
 * Context: May sleep, but not for memory.
 * Return: the object; ERR_PTR(-E2BIG) if it does not fit in MRM_ZIP_FIT,
 * ERR_PTR(-ENOSPC) if the VM has as much zipped as it may, ERR_PTR(-ENOMEM).
 */
struct mrm_zipped *mrm_zip(struct mrm_vm *vm, unsigned long index, struct page *frame)
{
	/* Pairs with mrm_zip_set_algorithm(). */
	enum mrm_zip_algorithm how = smp_load_acquire(&algorithm);
	struct mrm_zipped *zipped;
	unsigned int bytes;
	void *p;

	if (!mrm_zip_may(vm))
		return ERR_PTR(-ENOSPC);
	mutex_lock(&zip_lock);
	p = kmap_local_page(frame);
	bytes = mrm_zip_compress(how, p, buffer, sizeof(buffer));
	kunmap_local(p);
	if (!bytes)
		zipped = ERR_PTR(-E2BIG);
	else if (!fits_vm(vm, bytes))
		zipped = ERR_PTR(-ENOSPC);
	else
		zipped = store(bytes, how);
	mutex_unlock(&zip_lock);
	if (IS_ERR(zipped))
		return zipped;
	zipped->index = index;
	spin_lock(&vm->zipped_lock);
	list_add_tail(&zipped->node, &vm->zipped);
	spin_unlock(&vm->zipped_lock);
	return zipped;
}

/**
 * mrm_unzip() - the contents of a frame again
 * @zipped: the object, which the caller owns
 * @frame: where to
 *
 * Context: Not an interrupt.
 * Return: 0; -EIO if it is damaged, and then the frame holds nothing to be seen.
 */
int mrm_unzip(const struct mrm_zipped *zipped, struct page *frame)
{
	const void *from;
	bool good;
	void *to;

	local_lock(&unzipping->lock);
	from = mrm_zs_read_begin(pool, zipped->handle, zipped->bytes,
				 this_cpu_ptr(unzipping)->copy);
	good = mrm_checksum(from, zipped->bytes) == zipped->sum;
	if (good) {
		to = kmap_local_page(frame);
		good = mrm_zip_decompress(zipped->algorithm, from, zipped->bytes, to);
		kunmap_local(to);
	}
	mrm_zs_read_end(pool, zipped->handle, zipped->bytes, from);
	local_unlock(&unzipping->lock);
	return good ? 0 : -EIO;
}

/**
 * mrm_zip_oldest() - what was zipped before all else
 * @vm: the VM
 * @index: receives its guest page, which may be zipped no more, or not yet
 *
 * Return: false if nothing is zipped.
 */
bool mrm_zip_oldest(struct mrm_vm *vm, unsigned long *index)
{
	struct mrm_zipped *zipped;

	spin_lock(&vm->zipped_lock);
	zipped = list_first_entry_or_null(&vm->zipped, struct mrm_zipped, node);
	if (zipped)
		*index = zipped->index;
	spin_unlock(&vm->zipped_lock);
	return zipped;
}

/**
 * mrm_zip_keep() - not the oldest any more: it cannot be unzipped
 * @vm: whose it is
 * @zipped: the object, which the caller owns
 */
void mrm_zip_keep(struct mrm_vm *vm, struct mrm_zipped *zipped)
{
	spin_lock(&vm->zipped_lock);
	list_move_tail(&zipped->node, &vm->zipped);
	spin_unlock(&vm->zipped_lock);
}

/**
 * mrm_zip_free() - forget what was zipped
 * @vm: whose it was
 * @zipped: the object, which the caller owns
 */
void mrm_zip_free(struct mrm_vm *vm, struct mrm_zipped *zipped)
{
	spin_lock(&vm->zipped_lock);
	list_del(&zipped->node);
	spin_unlock(&vm->zipped_lock);
	zs_free(pool, zipped->handle);
	kmem_cache_free(cache, zipped);
}

/**
 * mrm_zipped_bytes() - what an object needs
 * @zipped: the object
 * Return: bytes.
 */
unsigned int mrm_zipped_bytes(const struct mrm_zipped *zipped)
{
	return zipped->bytes;
}

/**
 * mrm_zip_frames() - what all objects need
 * Return: frames.
 */
unsigned long mrm_zip_frames(void)
{
	return zs_get_total_pages(pool);
}

/**
 * mrm_zip_compact() - give back what objects that went have left empty, if it is much
 *
 * zsmalloc does so when the host is short of memory; with a limit of ours it may not be.
 *
 * Context: May sleep.
 */
void mrm_zip_compact(void)
{
	unsigned long least = mrm_counter_read(&mrm_host_counters, MRM_ZIPPED_BYTES) >> PAGE_SHIFT;

	if (mrm_zip_frames() > least + least / 4 + COMPACT_SLACK)
		zs_compact(pool);
}

/**
 * mrm_zip_init() - make the pool
 * Return: 0 or -ENOMEM.
 */
int mrm_zip_init(void)
{
	int err = mrm_zip_algorithm_init(), cpu;

	if (err)
		return err;
	unzipping = alloc_percpu(struct unzipping);
	cache = unzipping ? KMEM_CACHE(mrm_zipped, 0) : NULL;
	pool = cache ? zs_create_pool("mrm") : NULL;
	if (!pool) {
		kmem_cache_destroy(cache);
		free_percpu(unzipping);
		mrm_zip_algorithm_exit();
		return -ENOMEM;
	}
	for_each_possible_cpu(cpu)
		local_lock_init(&per_cpu_ptr(unzipping, cpu)->lock);
	return 0;
}

/**
 * mrm_zip_exit() - no object is left
 */
void mrm_zip_exit(void)
{
	zs_destroy_pool(pool);
	kmem_cache_destroy(cache);
	free_percpu(unzipping);
	mrm_zip_algorithm_exit();
}
