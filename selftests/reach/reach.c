// SPDX-License-Identifier: GPL-2.0
/*
 * A PCI device reaches so many bits of address only, as long as this module is loaded: devices
 * of less than 32 bits are rare, and no emulator has one that reads and writes guest pages.
 */
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/pci.h>

static char *device;
module_param(device, charp, 0444);
MODULE_PARM_DESC(device, "its address, such as 0000:00:01.1");

static unsigned int bits;
module_param(bits, uint, 0444);
MODULE_PARM_DESC(bits, "of address that it reaches");

static struct device *dev;
static u64 before;

static int __init reach_init(void)
{
	int err;

	if (!device || bits < 24 || bits > 64)
		return -EINVAL;
	dev = bus_find_device_by_name(&pci_bus_type, NULL, device);
	if (!dev)
		return -ENODEV;
	before = dma_get_mask(dev);
	err = dma_set_mask(dev, DMA_BIT_MASK(bits));
	if (err)
		put_device(dev);
	return err;
}
module_init(reach_init);

static void __exit reach_exit(void)
{
	dma_set_mask(dev, before);
	put_device(dev);
}
module_exit(reach_exit);

MODULE_DESCRIPTION("A PCI device reaches fewer bits of address");
MODULE_LICENSE("GPL");
