/* SPDX-License-Identifier: GPL-2.0 */
/* The layers above learn from here that VMs come and go. */
#ifndef MRM_VM_EVENTS_H
#define MRM_VM_EVENTS_H

struct notifier_block;

#define MRM_VM_ADDED	1	/* is listed now */
#define MRM_VM_REMOVED	2	/* is listed no more; mappings may linger */
#define MRM_VM_ENDED	3	/* has given everything back; no struct mrm_vm is passed */
#define MRM_VM_RESIZED	4	/* its memory slots have changed */

int mrm_vm_register_notifier(struct notifier_block *nb);
void mrm_vm_unregister_notifier(struct notifier_block *nb);

#endif
