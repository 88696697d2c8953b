/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MRM_ADOPT_H
#define MRM_ADOPT_H

int mrm_adopt_init(void);
void mrm_adopt_exit(void);
unsigned long mrm_adopt_missed(void);

#endif
