/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM mrm

#if !defined(MRM_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define MRM_TRACE_H

#include <linux/tracepoint.h>

/* A guest page is its virtual address in the VM's process >> PAGE_SHIFT. */

TRACE_EVENT(mrm_adopt,
	TP_PROTO(pid_t pid, unsigned long first, unsigned long pages, const char *result),
	TP_ARGS(pid, first, pages, result),
	TP_STRUCT__entry(
		__field(pid_t, pid)
		__field(unsigned long, first)
		__field(unsigned long, pages)
		__field(const char *, result)
	),
	TP_fast_assign(
		__entry->pid = pid;
		__entry->first = first;
		__entry->pages = pages;
		__entry->result = result;
	),
	TP_printk("pid=%d first=%#lx pages=%lu result=\"%s\"", __entry->pid, __entry->first,
		  __entry->pages, __entry->result)
);

TRACE_EVENT(mrm_fault,
	TP_PROTO(pid_t pid, unsigned long guest_page, bool write, bool populated),
	TP_ARGS(pid, guest_page, write, populated),
	TP_STRUCT__entry(
		__field(pid_t, pid)
		__field(unsigned long, guest_page)
		__field(bool, write)
		__field(bool, populated)
	),
	TP_fast_assign(
		__entry->pid = pid;
		__entry->guest_page = guest_page;
		__entry->write = write;
		__entry->populated = populated;
	),
	TP_printk("pid=%d guest_page=%#lx write=%d populated=%d", __entry->pid,
		  __entry->guest_page, __entry->write, __entry->populated)
);

TRACE_EVENT(mrm_share,
	TP_PROTO(pid_t pid, unsigned long guest_page, bool zero),
	TP_ARGS(pid, guest_page, zero),
	TP_STRUCT__entry(
		__field(pid_t, pid)
		__field(unsigned long, guest_page)
		__field(bool, zero)
	),
	TP_fast_assign(
		__entry->pid = pid;
		__entry->guest_page = guest_page;
		__entry->zero = zero;
	),
	TP_printk("pid=%d guest_page=%#lx zero=%d", __entry->pid, __entry->guest_page,
		  __entry->zero)
);

TRACE_EVENT(mrm_break,
	TP_PROTO(pid_t pid, unsigned long guest_page),
	TP_ARGS(pid, guest_page),
	TP_STRUCT__entry(
		__field(pid_t, pid)
		__field(unsigned long, guest_page)
	),
	TP_fast_assign(
		__entry->pid = pid;
		__entry->guest_page = guest_page;
	),
	TP_printk("pid=%d guest_page=%#lx", __entry->pid, __entry->guest_page)
);

/* bytes=0: it was zero, and needs nothing. */
TRACE_EVENT(mrm_zip,
	TP_PROTO(pid_t pid, unsigned long guest_page, unsigned int bytes),
	TP_ARGS(pid, guest_page, bytes),
	TP_STRUCT__entry(
		__field(pid_t, pid)
		__field(unsigned long, guest_page)
		__field(unsigned int, bytes)
	),
	TP_fast_assign(
		__entry->pid = pid;
		__entry->guest_page = guest_page;
		__entry->bytes = bytes;
	),
	TP_printk("pid=%d guest_page=%#lx bytes=%u", __entry->pid, __entry->guest_page,
		  __entry->bytes)
);

TRACE_EVENT(mrm_unzip,
	TP_PROTO(pid_t pid, unsigned long guest_page),
	TP_ARGS(pid, guest_page),
	TP_STRUCT__entry(
		__field(pid_t, pid)
		__field(unsigned long, guest_page)
	),
	TP_fast_assign(
		__entry->pid = pid;
		__entry->guest_page = guest_page;
	),
	TP_printk("pid=%d guest_page=%#lx", __entry->pid, __entry->guest_page)
);

DECLARE_EVENT_CLASS(mrm_swap,
	TP_PROTO(pid_t pid, unsigned long guest_page, unsigned long slot),
	TP_ARGS(pid, guest_page, slot),
	TP_STRUCT__entry(
		__field(pid_t, pid)
		__field(unsigned long, guest_page)
		__field(unsigned long, slot)
	),
	TP_fast_assign(
		__entry->pid = pid;
		__entry->guest_page = guest_page;
		__entry->slot = slot;
	),
	TP_printk("pid=%d guest_page=%#lx slot=%lu", __entry->pid, __entry->guest_page,
		  __entry->slot)
);

DEFINE_EVENT(mrm_swap, mrm_swap_out,
	TP_PROTO(pid_t pid, unsigned long guest_page, unsigned long slot),
	TP_ARGS(pid, guest_page, slot)
);

DEFINE_EVENT(mrm_swap, mrm_swap_in,
	TP_PROTO(pid_t pid, unsigned long guest_page, unsigned long slot),
	TP_ARGS(pid, guest_page, slot)
);

/* A vCPU is made to wait, or goes on. */
TRACE_EVENT(mrm_block,
	TP_PROTO(pid_t pid, bool blocked),
	TP_ARGS(pid, blocked),
	TP_STRUCT__entry(
		__field(pid_t, pid)
		__field(bool, blocked)
	),
	TP_fast_assign(
		__entry->pid = pid;
		__entry->blocked = blocked;
	),
	TP_printk("pid=%d blocked=%d", __entry->pid, __entry->blocked)
);

/* The kernel was about to kill for memory: pages that VMs gave. */
TRACE_EVENT(mrm_oom,
	TP_PROTO(long pages),
	TP_ARGS(pages),
	TP_STRUCT__entry(
		__field(long, pages)
	),
	TP_fast_assign(
		__entry->pages = pages;
	),
	TP_printk("pages=%ld", __entry->pages)
);

TRACE_EVENT(mrm_discard,
	TP_PROTO(pid_t pid, unsigned long first, unsigned long pages, unsigned long freed),
	TP_ARGS(pid, first, pages, freed),
	TP_STRUCT__entry(
		__field(pid_t, pid)
		__field(unsigned long, first)
		__field(unsigned long, pages)
		__field(unsigned long, freed)
	),
	TP_fast_assign(
		__entry->pid = pid;
		__entry->first = first;
		__entry->pages = pages;
		__entry->freed = freed;
	),
	TP_printk("pid=%d first=%#lx pages=%lu freed=%lu", __entry->pid, __entry->first,
		  __entry->pages, __entry->freed)
);

/* Averages are in parts of 65536. */
TRACE_EVENT(mrm_sample,
	TP_PROTO(pid_t pid, unsigned int n, unsigned int touched, unsigned int slow,
		 unsigned int fast),
	TP_ARGS(pid, n, touched, slow, fast),
	TP_STRUCT__entry(
		__field(pid_t, pid)
		__field(unsigned int, n)
		__field(unsigned int, touched)
		__field(unsigned int, slow)
		__field(unsigned int, fast)
	),
	TP_fast_assign(
		__entry->pid = pid;
		__entry->n = n;
		__entry->touched = touched;
		__entry->slow = slow;
		__entry->fast = fast;
	),
	TP_printk("pid=%d n=%u touched=%u slow=%u fast=%u", __entry->pid, __entry->n,
		  __entry->touched, __entry->slow, __entry->fast)
);

TRACE_EVENT(mrm_large,
	TP_PROTO(pid_t pid, unsigned long first, int what, unsigned long left),
	TP_ARGS(pid, first, what, left),
	TP_STRUCT__entry(
		__field(pid_t, pid)
		__field(unsigned long, first)
		__field(int, what)
		__field(unsigned long, left)
	),
	TP_fast_assign(
		__entry->pid = pid;
		__entry->first = first;
		__entry->what = what;
		__entry->left = left;
	),
	TP_printk("pid=%d address=%#lx %s left=%lu", __entry->pid, __entry->first << PAGE_SHIFT,
		  __print_symbolic(__entry->what, { 0, "populated" }, { 1, "broken" },
				   { 2, "rebuilt" }),
		  __entry->left)
);

/* Out of a broken one: of its parts so many were copied. */
TRACE_EVENT(mrm_large_moved,
	TP_PROTO(pid_t pid, unsigned long first, unsigned int parts, unsigned int copied),
	TP_ARGS(pid, first, parts, copied),
	TP_STRUCT__entry(
		__field(pid_t, pid)
		__field(unsigned long, first)
		__field(unsigned int, parts)
		__field(unsigned int, copied)
	),
	TP_fast_assign(
		__entry->pid = pid;
		__entry->first = first;
		__entry->parts = parts;
		__entry->copied = copied;
	),
	TP_printk("pid=%d address=%#lx parts=%u copied=%u", __entry->pid,
		  __entry->first << PAGE_SHIFT, __entry->parts, __entry->copied)
);

/* For a device that did not reach it, or back. */
TRACE_EVENT(mrm_move,
	TP_PROTO(pid_t pid, unsigned long index, unsigned long from, unsigned long to),
	TP_ARGS(pid, index, from, to),
	TP_STRUCT__entry(
		__field(pid_t, pid)
		__field(unsigned long, index)
		__field(unsigned long, from)
		__field(unsigned long, to)
	),
	TP_fast_assign(
		__entry->pid = pid;
		__entry->index = index;
		__entry->from = from;
		__entry->to = to;
	),
	TP_printk("pid=%d address=%#lx from_pfn=%#lx to_pfn=%#lx", __entry->pid,
		  __entry->index << PAGE_SHIFT, __entry->from, __entry->to)
);

TRACE_EVENT(mrm_state,
	TP_PROTO(int state, unsigned long free, unsigned long min_free),
	TP_ARGS(state, free, min_free),
	TP_STRUCT__entry(
		__field(int, state)
		__field(unsigned long, free)
		__field(unsigned long, min_free)
	),
	TP_fast_assign(
		__entry->state = state;
		__entry->free = free;
		__entry->min_free = min_free;
	),
	TP_printk("state=%s free=%lu min_free=%lu",
		  __print_symbolic(__entry->state, { 0, "high" }, { 1, "clear" }, { 2, "soft" },
				   { 3, "hard" }, { 4, "low" }),
		  __entry->free, __entry->min_free)
);

TRACE_EVENT(mrm_target,
	TP_PROTO(pid_t pid, unsigned long consumed, unsigned long target, unsigned long balloon),
	TP_ARGS(pid, consumed, target, balloon),
	TP_STRUCT__entry(
		__field(pid_t, pid)
		__field(unsigned long, consumed)
		__field(unsigned long, target)
		__field(unsigned long, balloon)
	),
	TP_fast_assign(
		__entry->pid = pid;
		__entry->consumed = consumed;
		__entry->target = target;
		__entry->balloon = balloon;
	),
	TP_printk("pid=%d consumed=%lu target=%lu balloon=%lu", __entry->pid, __entry->consumed,
		  __entry->target, __entry->balloon)
);

#endif

/* This part must be outside the guard. */
#include <trace/define_trace.h>
