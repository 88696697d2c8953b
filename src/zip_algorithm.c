// SPDX-License-Identifier: GPL-2.0
#include <linux/lz4.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/zstd.h>

#include "zip_algorithm.h"

#define ZSTD_LEVEL	3	/* zstd's own default */

const char *const mrm_zip_words[MRM_ZIP_ALGORITHMS] = { [MRM_LZ4] = "lz4", [MRM_ZSTD] = "zstd" };

/* What compression works in.  One page is compressed at a time: under zip's lock. */
static void *lz4_work;
static void *zstd_work;
static zstd_cctx *cctx;
static zstd_parameters parameters;

/**
 * struct unzip - what decompression works in, for each processor
 * @work: memory of @dctx
 * @dctx: zstd's
 */
struct unzip {
	void *work;
	zstd_dctx *dctx;
};

static DEFINE_PER_CPU(struct unzip, unzip);

/**
 * mrm_zip_compress() - compress a page
 * @algorithm: how
 * @page: its contents
 * @to: where to
 * @room: bytes there
 *
 * Context: One at a time.
 * Return: bytes, or 0: it does not fit.
 */
unsigned int mrm_zip_compress(enum mrm_zip_algorithm algorithm, const void *page, void *to,
			      unsigned int room)
{
	size_t bytes;

	if (algorithm == MRM_LZ4)
		return LZ4_compress_default(page, to, PAGE_SIZE, room, lz4_work);
	bytes = zstd_compress_cctx(cctx, to, room, page, PAGE_SIZE, &parameters);
	return zstd_is_error(bytes) ? 0 : bytes;
}

/**
 * mrm_zip_decompress() - the way back
 * @algorithm: how it was compressed
 * @from: what it became
 * @bytes: how many
 * @page: where to
 *
 * Context: On one processor, one at a time.
 * Return: false if this is not a compressed page.
 */
bool mrm_zip_decompress(enum mrm_zip_algorithm algorithm, const void *from, unsigned int bytes,
			void *page)
{
	zstd_dctx *dctx;

	if (algorithm == MRM_LZ4)
		return LZ4_decompress_safe(from, page, bytes, PAGE_SIZE) == PAGE_SIZE;
	dctx = this_cpu_read(unzip.dctx);
	return zstd_decompress_dctx(dctx, page, PAGE_SIZE, from, bytes) == PAGE_SIZE;
}

static int init_zstd(void)
{
	size_t bytes;
	int cpu;

	parameters = zstd_get_params(ZSTD_LEVEL, PAGE_SIZE);
	bytes = zstd_cctx_workspace_bound(&parameters.cParams);
	zstd_work = kvmalloc(bytes, GFP_KERNEL);
	cctx = zstd_work ? zstd_init_cctx(zstd_work, bytes) : NULL;
	if (!cctx)
		return -ENOMEM;
	bytes = zstd_dctx_workspace_bound();
	for_each_possible_cpu(cpu) {
		struct unzip *u = per_cpu_ptr(&unzip, cpu);

		u->work = kvmalloc_node(bytes, GFP_KERNEL, cpu_to_node(cpu));
		u->dctx = u->work ? zstd_init_dctx(u->work, bytes) : NULL;
		if (!u->dctx)
			return -ENOMEM;
	}
	return 0;
}

static void exit_zstd(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		kvfree(per_cpu(unzip, cpu).work);
		per_cpu(unzip, cpu) = (struct unzip){};
	}
	kvfree(zstd_work);
	zstd_work = NULL;
	cctx = NULL;
}

/**
 * mrm_zip_algorithm_prepare() - before pages are compressed in a way for the first time
 * @algorithm: which
 *
 * zstd needs some 160 KiB for each processor: not before it is chosen.
 *
 * Context: May sleep; one at a time.
 * Return: 0 or -ENOMEM.
 */
int mrm_zip_algorithm_prepare(enum mrm_zip_algorithm algorithm)
{
	int err;

	if (algorithm != MRM_ZSTD || cctx)
		return 0;
	err = init_zstd();
	if (err)
		exit_zstd();
	return err;
}

/**
 * mrm_zip_algorithm_init() - what LZ4 works in
 * Return: 0 or -ENOMEM.
 */
int mrm_zip_algorithm_init(void)
{
	lz4_work = kvmalloc(LZ4_MEM_COMPRESS, GFP_KERNEL);
	return lz4_work ? 0 : -ENOMEM;
}

/**
 * mrm_zip_algorithm_exit() - give it all back
 */
void mrm_zip_algorithm_exit(void)
{
	exit_zstd();
	kvfree(lz4_work);
	lz4_work = NULL;
}
