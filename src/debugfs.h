/* SPDX-License-Identifier: GPL-2.0 */
/* debugfs mrm/: what is inside, for people who change the code. */
#ifndef MRM_DEBUGFS_H
#define MRM_DEBUGFS_H

void mrm_debugfs_init(void);
void mrm_debugfs_exit(void);

#endif
