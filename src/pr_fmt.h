/* SPDX-License-Identifier: GPL-2.0 */
/* Force-included: every line of ours in the log says whose it is. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt
