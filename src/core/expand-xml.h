/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The two halves of an expansion, on a parsed document: taking out what the record says
 * (expand-undo.c) and writing what the policy says (expand-write.c). Internal to src/core.
 */
#pragma once

#include "core/domain-xml.h"
#include "core/state.h"

/* A thread that was taken out, so that what its user set on it can go to its successor. */
typedef struct {
    char *place;       /* "vda/0": device and ordinal */
    unsigned id;       /* it had */
    xmlNode *settings; /* its <iothread> with thread pool or <poll> of the user's, or NULL; owned */
} VqOldThread;

typedef struct {
    VqState *state;     /* the record, or NULL: there was none, or none that can be used */
    GPtrArray *threads; /* of VqOldThread */
} VqUndone;

/*
 * Takes out of @root (<domain>) what its record says was added, as far as it still is as it was
 * written; what has changed since belongs to the user. The record itself stays. Never NULL.
 */
VqUndone *vq_expansion_undo(xmlNode *root, VqProblems *problems);
void vq_undone_free(VqUndone *undone);

/* The thread that stood at @place, or NULL. */
const VqOldThread *vq_undone_find(const VqUndone *undone, const char *place);

/*
 * Writes the policies in force of @domain (read from @root after the undoing) and the new record.
 * VQ_ERROR_LIMIT if IOThread ids run out.
 */
bool vq_expansion_write(xmlNode *root, const VqDomain *domain, const VqUndone *undone,
                        GError **error);

/* "vda", "scsi0": how a device is called in a place. Free with g_free(). */
char *vq_state_device_name(const VqStateDevice *device);

/*
 * Lets pins and schedulers in <cputune> follow the threads of @undone to their new ids: @new_ids
 * maps places to ids (GUINT_TO_POINTER). Those of threads that are gone are removed, since libvirt
 * refuses a pin of no thread.
 */
void vq_expansion_move_tuning(xmlNode *root, const VqUndone *undone, GHashTable *new_ids);

/*
 * The largest IOThread id that @root has or speaks of, in <cputune> or a <driver>; the ids that
 * threads of @undone had are not counted. A new thread must not get an id that a pin of no thread
 * waits for: libvirt would take its author's mistake for a wish.
 */
unsigned vq_expansion_last_id(const xmlNode *root, const VqUndone *undone);

/* The IOThreads of @root in libvirt's order. */
GArray *vq_expansion_threads(const xmlNode *root);

/* The <iothread> of @id in <iothreadids>, or NULL. */
xmlNode *vq_expansion_find_thread(const xmlNode *root, unsigned id);

/* Sets the content of <iothreads>; NULL removes it. Made where libvirt prints it. */
void vq_expansion_set_count(xmlNode *root, const char *text);

/* <iothreadids>, made behind <iothreads> if it is not there. */
xmlNode *vq_expansion_ensure_ids(xmlNode *root, bool *made);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VqUndone, vq_undone_free)
