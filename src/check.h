/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRM_CHECK_H
#define MRM_CHECK_H

struct seq_file;

unsigned long mrm_check(struct seq_file *m);

#endif
