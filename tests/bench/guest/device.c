/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "device.h"
#include "base/error.h"

#include <linux/pci_regs.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc
#define VENDOR         0x1af4
/* Transitional and modern virtio-blk. */
#define DEVICE_OLD    0x1001
#define DEVICE_MODERN 0x1042

/* In the PCI hole of pc and q35: above any RAM that SYN_MEMORY_MAX allows, below the I/O APIC. */
#define BAR_BASE 0xe0000000u

static void
config_select(SynDevice *device, unsigned offset)
{
    syn_qtest_out(device->qtest, 32, CONFIG_ADDRESS,
                  0x80000000u | device->slot << 11 | (offset & 0xfcu));
}

static uint32_t
config_read(SynDevice *device, unsigned bits, unsigned offset)
{
    config_select(device, offset);
    return syn_qtest_in(device->qtest, bits, (uint16_t)(CONFIG_DATA + (offset & 3)));
}

static void
config_write(SynDevice *device, unsigned bits, unsigned offset, uint32_t value)
{
    config_select(device, offset);
    syn_qtest_out(device->qtest, bits, (uint16_t)(CONFIG_DATA + (offset & 3)), value);
}

/* Sizes and places the memory BARs one behind the other. */
static void
place_bars(SynDevice *device)
{
    uint64_t next = BAR_BASE;

    for (unsigned i = 0; i < 6; i++) {
        unsigned offset = PCI_BASE_ADDRESS_0 + 4 * i;
        uint32_t mask;
        uint64_t size;

        config_write(device, 32, offset, UINT32_MAX);
        mask = config_read(device, 32, offset);
        if (mask == 0 || mask == UINT32_MAX || (mask & PCI_BASE_ADDRESS_SPACE_IO)) {
            continue;
        }
        size = (uint64_t)(uint32_t) ~(mask & (uint32_t)PCI_BASE_ADDRESS_MEM_MASK) + 1;
        next = (next + size - 1) & ~(size - 1);
        config_write(device, 32, offset, (uint32_t)next);
        device->bar[i] = next;
        next += size;
        if ((mask & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64) {
            config_write(device, 32, offset + 4, 0);
            i++;
        }
    }
    config_write(device, 16, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void
virtio_capability(SynDevice *device, unsigned cap)
{
    uint64_t bar = device->bar[config_read(device, 8, cap + VIRTIO_PCI_CAP_BAR) % 6];
    uint64_t address = bar + config_read(device, 32, cap + VIRTIO_PCI_CAP_OFFSET);

    switch (config_read(device, 8, cap + VIRTIO_PCI_CAP_CFG_TYPE)) {
    case VIRTIO_PCI_CAP_COMMON_CFG:
        device->common = address;
        break;
    case VIRTIO_PCI_CAP_NOTIFY_CFG:
        device->notify = address;
        device->notify_step = config_read(device, 32, cap + VIRTIO_PCI_NOTIFY_CAP_MULT);
        break;
    case VIRTIO_PCI_CAP_ISR_CFG:
        device->isr = address;
        break;
    case VIRTIO_PCI_CAP_DEVICE_CFG:
        device->config = address;
        break;
    default:
        break;
    }
}

static void
msix_capability(SynDevice *device, unsigned cap)
{
    uint32_t table = config_read(device, 32, cap + PCI_MSIX_TABLE);
    uint16_t flags = (uint16_t)config_read(device, 16, cap + PCI_MSIX_FLAGS);

    device->msix = device->bar[(table & PCI_MSIX_TABLE_BIR) % 6] + (table & PCI_MSIX_TABLE_OFFSET);
    config_write(device, 16, cap + PCI_MSIX_FLAGS, flags | PCI_MSIX_FLAGS_ENABLE);
}

static void
read_capabilities(SynDevice *device)
{
    unsigned cap = config_read(device, 8, PCI_CAPABILITY_LIST) & 0xfc;

    /* As many as fit into configuration space: a list that loops ends too. */
    for (unsigned i = 0; cap && i < 48; i++) {
        switch (config_read(device, 8, cap)) {
        case PCI_CAP_ID_VNDR:
            virtio_capability(device, cap);
            break;
        case PCI_CAP_ID_MSIX:
            msix_capability(device, cap);
            break;
        default:
            break;
        }
        cap = config_read(device, 8, cap + PCI_CAP_LIST_NEXT) & 0xfc;
    }
}

bool
syn_device_find(SynDevice *device, SynQtest *qtest, GError **error)
{
    *device = (SynDevice){.qtest = qtest};
    for (; device->slot < 32; device->slot++) {
        uint32_t id = config_read(device, 32, PCI_VENDOR_ID);

        if (id == (DEVICE_MODERN << 16 | VENDOR) || id == (DEVICE_OLD << 16 | VENDOR)) {
            break;
        }
    }
    if (syn_qtest_broken(qtest)) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_UNAVAILABLE,
                    "QEMU does not answer on its qtest socket");
        return false;
    }
    if (device->slot == 32) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_NOT_FOUND,
                    "no virtio-blk-pci device on PCI bus 0 (behind a bridge it is not found)");
        return false;
    }
    place_bars(device);
    read_capabilities(device);
    if (!device->common || !device->notify || !device->config) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_UNSUPPORTED,
                    "the device in slot %u is not modern virtio (disable-modern=on?)",
                    device->slot);
        return false;
    }
    return true;
}

static uint64_t
common_read(SynDevice *device, unsigned bits, unsigned offset)
{
    return syn_qtest_read(device->qtest, bits, device->common + offset);
}

static void
common_write(SynDevice *device, unsigned bits, unsigned offset, uint64_t value)
{
    syn_qtest_write(device->qtest, bits, device->common + offset, value);
}

static void
add_status(SynDevice *device, uint8_t bit)
{
    common_write(device, 8, VIRTIO_PCI_COMMON_STATUS, syn_device_status(device) | bit);
}

uint8_t
syn_device_status(SynDevice *device)
{
    return (uint8_t)common_read(device, 8, VIRTIO_PCI_COMMON_STATUS);
}

void
syn_device_reset(SynDevice *device)
{
    common_write(device, 8, VIRTIO_PCI_COMMON_STATUS, 0);
}

bool
syn_device_start(SynDevice *device, uint64_t wanted, uint64_t needed, GError **error)
{
    uint64_t offered = 0;

    syn_device_reset(device);
    add_status(device, VIRTIO_CONFIG_S_ACKNOWLEDGE);
    add_status(device, VIRTIO_CONFIG_S_DRIVER);
    for (unsigned i = 0; i < 2; i++) {
        common_write(device, 32, VIRTIO_PCI_COMMON_DFSELECT, i);
        offered |= common_read(device, 32, VIRTIO_PCI_COMMON_DF) << (32 * i);
    }
    if ((offered & needed) != needed) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_UNSUPPORTED,
                    "the device lacks feature bits 0x%" G_GINT64_MODIFIER "x that the options need",
                    (guint64)(needed & ~offered));
        return false;
    }
    device->features = offered & (wanted | needed);
    for (unsigned i = 0; i < 2; i++) {
        common_write(device, 32, VIRTIO_PCI_COMMON_GFSELECT, i);
        common_write(device, 32, VIRTIO_PCI_COMMON_GF, (uint32_t)(device->features >> (32 * i)));
    }
    add_status(device, VIRTIO_CONFIG_S_FEATURES_OK);
    if (!(syn_device_status(device) & VIRTIO_CONFIG_S_FEATURES_OK)) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_REFUSED, "the device refused the features");
        return false;
    }
    device->capacity =
        512 * syn_qtest_read(device->qtest, 64,
                             device->config + offsetof(struct virtio_blk_config, capacity));
    device->num_queues = (unsigned)syn_qtest_read(
        device->qtest, 16, device->config + offsetof(struct virtio_blk_config, num_queues));
    return true;
}

uint16_t
syn_device_queue_max(SynDevice *device, unsigned queue)
{
    common_write(device, 16, VIRTIO_PCI_COMMON_Q_SELECT, queue);
    return (uint16_t)common_read(device, 16, VIRTIO_PCI_COMMON_Q_SIZE);
}

static void
write_address(SynDevice *device, unsigned offset, uint64_t address)
{
    common_write(device, 32, offset, (uint32_t)address);
    common_write(device, 32, offset + 4, (uint32_t)(address >> 32));
}

bool
syn_device_queue(SynDevice *device, unsigned queue, uint16_t size, uint64_t desc, uint64_t driver,
                 uint64_t dev, int vector, GError **error)
{
    uint16_t most = syn_device_queue_max(device, queue);

    if (size > most) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT,
                    "queue %u: a ring of %u is needed, the device's limit is %u (queue-size)",
                    queue, size, most);
        return false;
    }
    common_write(device, 16, VIRTIO_PCI_COMMON_Q_SIZE, size);
    common_write(device, 16, VIRTIO_PCI_COMMON_Q_MSIX,
                 vector < 0 ? VIRTIO_MSI_NO_VECTOR : (uint64_t)vector);
    write_address(device, VIRTIO_PCI_COMMON_Q_DESCLO, desc);
    write_address(device, VIRTIO_PCI_COMMON_Q_AVAILLO, driver);
    write_address(device, VIRTIO_PCI_COMMON_Q_USEDLO, dev);
    device->notify_address[queue] =
        device->notify + common_read(device, 16, VIRTIO_PCI_COMMON_Q_NOFF) * device->notify_step;
    common_write(device, 16, VIRTIO_PCI_COMMON_Q_ENABLE, 1);
    return true;
}

void
syn_device_vector(SynDevice *device, unsigned vector, uint64_t address, uint32_t data)
{
    uint64_t entry = device->msix + (uint64_t)PCI_MSIX_ENTRY_SIZE * vector;

    syn_qtest_write(device->qtest, 32, entry + PCI_MSIX_ENTRY_LOWER_ADDR, (uint32_t)address);
    syn_qtest_write(device->qtest, 32, entry + PCI_MSIX_ENTRY_UPPER_ADDR, address >> 32);
    syn_qtest_write(device->qtest, 32, entry + PCI_MSIX_ENTRY_DATA, data);
    syn_qtest_write(device->qtest, 32, entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
}

void
syn_device_run(SynDevice *device)
{
    add_status(device, VIRTIO_CONFIG_S_DRIVER_OK);
}
