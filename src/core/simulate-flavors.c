/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Traces as values: flavors, the built-in mix, and the writer. simulate-trace.c reads. */
#include "core/simulate-work.h"

#include <string.h>

const char vq_sim_flavors_text[] = "flavor small share=55 vcpus=2 memory=4G\n"
                                   "disk small vda queues=2 iothreads=1 load=0.03\n"
                                   "flavor medium share=28 vcpus=4 memory=16G\n"
                                   "disk medium vda queues=4 iothreads=2 load=0.04\n"
                                   "flavor large share=12 vcpus=8 memory=32G\n"
                                   "disk large vda queues=2 iothreads=1 load=0.03\n"
                                   "disk large vdb queues=8 iothreads=4 load=0.06\n"
                                   "flavor database share=5 vcpus=8 memory=64G\n"
                                   "disk database vda queues=2 iothreads=1 load=0.03\n"
                                   "disk database vdb queues=2 placement=dedicated load=0.40\n";

VqSimDisk *
vq_sim_disk_new(const char *target)
{
    VqSimDisk *disk = g_new0(VqSimDisk, 1);

    disk->target = g_strdup(target);
    disk->queues = 1;
    disk->weight = VQ_WEIGHT_DEFAULT;
    disk->load = 0.10;
    return disk;
}

void
vq_sim_disk_free(VqSimDisk *disk)
{
    if (!disk)
        return;
    g_free(disk->target);
    g_free(disk->device);
    g_free(disk);
}

VqSimFlavor *
vq_sim_flavor_new(const char *name)
{
    VqSimFlavor *flavor = g_new0(VqSimFlavor, 1);

    flavor->name = g_strdup(name);
    flavor->share = 1;
    flavor->vcpus = 1;
    flavor->memory = (guint64)1 << 30;
    flavor->disks = g_ptr_array_new_with_free_func((GDestroyNotify)vq_sim_disk_free);
    return flavor;
}

VqSimFlavor *
vq_sim_flavor_copy(const VqSimFlavor *from)
{
    VqSimFlavor *flavor = vq_sim_flavor_new(from->name);

    flavor->share = from->share;
    flavor->vcpus = from->vcpus;
    flavor->memory = from->memory;
    for (guint i = 0; i < from->disks->len; i++) {
        const VqSimDisk *old = g_ptr_array_index(from->disks, i);
        VqSimDisk *disk = g_memdup2(old, sizeof(*old));

        disk->target = g_strdup(old->target);
        disk->device = g_strdup(old->device);
        g_ptr_array_add(flavor->disks, disk);
    }
    return flavor;
}

void
vq_sim_flavor_free(VqSimFlavor *flavor)
{
    if (!flavor)
        return;
    g_free(flavor->name);
    g_ptr_array_unref(flavor->disks);
    g_free(flavor);
}

const VqSimDisk *
vq_sim_flavor_disk(const VqSimFlavor *flavor, const char *target, guint *index)
{
    for (guint i = 0; i < flavor->disks->len; i++) {
        const VqSimDisk *disk = g_ptr_array_index(flavor->disks, i);

        if (!g_str_equal(disk->target, target))
            continue;
        if (index)
            *index = i;
        return disk;
    }
    return NULL;
}

void
vq_sim_vm_free(VqSimVm *vm)
{
    if (!vm)
        return;
    g_free(vm->name);
    g_free(vm);
}

VqSimTrace *
vq_sim_trace_new(void)
{
    VqSimTrace *trace = g_new0(VqSimTrace, 1);

    trace->flavors = g_ptr_array_new_with_free_func((GDestroyNotify)vq_sim_flavor_free);
    trace->vms = g_ptr_array_new_with_free_func((GDestroyNotify)vq_sim_vm_free);
    trace->events = g_array_new(FALSE, FALSE, sizeof(VqSimEvent));
    return trace;
}

void
vq_sim_trace_free(VqSimTrace *trace)
{
    if (!trace)
        return;
    g_ptr_array_unref(trace->flavors);
    g_ptr_array_unref(trace->vms);
    g_array_unref(trace->events);
    g_free(trace);
}

/* As short as it reads back; the reader takes no exponent, so small values are written out. */
static char *
decimal(double value)
{
    char buffer[64];

    for (int digits = 1; digits <= 29; digits++) {
        char format[8];

        g_snprintf(format, sizeof(format), "%%.%df", digits);
        g_ascii_formatd(buffer, sizeof(buffer), format, value);
        if (strlen(buffer) > 30) /* more than the reader takes */
            break;
        if (g_ascii_strtod(buffer, NULL) == value)
            return g_strdup(buffer);
    }
    g_ascii_formatd(buffer, sizeof(buffer), "%.20f", value);
    return g_strdup(buffer);
}

static void
write_flavor(GString *out, const VqSimFlavor *flavor)
{
    g_autofree char *share = decimal(flavor->share);

    g_string_append_printf(out, "flavor %s share=%s vcpus=%u memory=%" G_GUINT64_FORMAT "\n",
                           flavor->name, share, flavor->vcpus, flavor->memory);
    for (guint i = 0; i < flavor->disks->len; i++) {
        const VqSimDisk *disk = g_ptr_array_index(flavor->disks, i);
        g_autofree char *load = decimal(disk->load);

        g_string_append_printf(out, "disk %s %s queues=%u iothreads=%u placement=%s", flavor->name,
                               disk->target, disk->queues, disk->iothreads,
                               vq_enum_name(vq_placement_names, (int)disk->placement));
        g_string_append_printf(out, " required=%s weight=%u load=%s%s%s\n",
                               disk->required ? "yes" : "no", disk->weight, load,
                               disk->device ? " device=" : "", disk->device ? disk->device : "");
    }
}

static void
write_event(GString *out, const VqSimTrace *trace, const VqSimEvent *event)
{
    const VqSimVm *vm = g_ptr_array_index(trace->vms, event->vm);
    const VqSimFlavor *flavor = g_ptr_array_index(trace->flavors, vm->flavor);

    g_string_append_printf(out, "at %" G_GINT64_FORMAT ".%03d ", event->time / 1000,
                           (int)(event->time % 1000));
    if (event->kind == VQ_SIM_ARRIVE) {
        g_string_append_printf(out, "arrive %s %s", vm->name, flavor->name);
        if (vm->node >= 0)
            g_string_append_printf(out, " node=%d", vm->node);
    } else if (event->kind == VQ_SIM_DEPART) {
        g_string_append_printf(out, "depart %s", vm->name);
    } else {
        const VqSimDisk *disk = g_ptr_array_index(flavor->disks, event->disk);
        g_autofree char *load = decimal(event->load);

        g_string_append_printf(out, "load %s/%s", vm->name, disk->target);
        if (event->queue >= 0)
            g_string_append_printf(out, "/%d", event->queue);
        g_string_append_printf(out, " %s", load);
    }
    g_string_append_c(out, '\n');
}

char *
vq_sim_trace_write(const VqSimTrace *trace)
{
    GString *out = g_string_new(NULL);

    for (guint i = 0; i < trace->flavors->len; i++)
        write_flavor(out, g_ptr_array_index(trace->flavors, i));
    for (guint i = 0; i < trace->events->len; i++)
        write_event(out, trace, &g_array_index(trace->events, VqSimEvent, i));
    return g_string_free(out, FALSE);
}
