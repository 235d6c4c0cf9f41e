/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "driver/admit.h"

#include "base/error.h"
#include "protocol/client.h"

/* Pins of one domain that are taken from an answer. */
#define PINS_MAX  4096
#define NOTES_MAX 256

/* The line in front of the daemon. */
static GMutex lock;
static GCond turn;
static unsigned calls;     /* lock: under way */
static gint64 asked_again; /* lock: g_get_monotonic_time() from which on to ask again */

static void
pin_free(gpointer data)
{
    VqAdmitPin *pin = data;

    g_free(pin->cpus);
    g_free(pin);
}

void
vq_admission_free(VqAdmission *admission)
{
    if (!admission)
        return;
    g_ptr_array_unref(admission->pins);
    g_ptr_array_unref(admission->notes);
    g_free(admission);
}

static bool
may_ask(bool required, GError **error)
{
    if (required || g_get_monotonic_time() >= asked_again)
        return true;
    g_set_error(error, VQ_ERROR, VQ_ERROR_UNAVAILABLE,
                "not asked, since it did not answer a moment ago");
    return false;
}

/* Waits for a place, no longer than until @deadline. */
static bool
line_enter(bool required, gint64 deadline, GError **error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&lock);

    while (may_ask(required, error)) {
        if (calls < VQ_ADMIT_CALLS_MAX) {
            calls++;
            return true;
        }
        if (!g_cond_wait_until(&turn, &lock, deadline)) {
            g_set_error(error, VQ_ERROR, VQ_ERROR_TIMEOUT,
                        "%u calls are already waiting for its answer", calls);
            return false;
        }
    }
    return false;
}

/* Those in line are woken all together: after a missed answer none of them shall wait on. */
static void
line_leave(const VqAdmitSettings *settings, const GError *error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&lock);

    calls--;
    if (!error)
        asked_again = 0;
    else if (g_error_matches(error, VQ_ERROR, VQ_ERROR_TIMEOUT))
        asked_again =
            g_get_monotonic_time() + (gint64)settings->breaker_seconds * G_TIME_SPAN_SECOND;
    g_cond_broadcast(&turn);
}

static GVariant *
ask(const VqAdmitSettings *settings, const char *method, const char *argument,
    const GVariantType *reply_type, bool required, GError **error)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)settings->timeout_ms * 1000;
    g_autoptr(GVariant) reply = NULL;
    g_autoptr(GError) failure = NULL;
    gint64 left;

    if (!g_utf8_validate(argument, -1, NULL)) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "the domain XML is not UTF-8");
        return NULL;
    }
    if (!line_enter(required, deadline, error))
        return NULL;
    left = MAX(deadline - g_get_monotonic_time(), 1000);
    reply = vq_client_call(settings->socket, method, g_variant_new("(s)", argument), reply_type,
                           (int)(left / 1000), &failure);
    line_leave(settings, failure);
    if (failure)
        g_propagate_error(error, g_steal_pointer(&failure));
    return g_steal_pointer(&reply);
}

static VqAdmission *
admission_read(GVariant *reply)
{
    VqAdmission *admission = g_new0(VqAdmission, 1);
    g_autoptr(GVariantIter) pins = NULL;
    g_autoptr(GVariantIter) notes = NULL;
    VqAdmitPin pin;
    char *note;

    admission->pins = g_ptr_array_new_with_free_func(pin_free);
    admission->notes = g_ptr_array_new_with_free_func(g_free);
    g_variant_get(reply, "(a(us)as)", &pins, &notes);
    while (admission->pins->len < PINS_MAX &&
           g_variant_iter_next(pins, "(us)", &pin.iothread, &pin.cpus))
        g_ptr_array_add(admission->pins, g_memdup2(&pin, sizeof pin));
    while (admission->notes->len < NOTES_MAX && g_variant_iter_next(notes, "s", &note))
        g_ptr_array_add(admission->notes, note);
    return admission;
}

VqAdmission *
vq_admit(const VqAdmitSettings *settings, const char *xml, bool required, GError **error)
{
    g_autoptr(GVariant) reply =
        ask(settings, "Admit", xml, G_VARIANT_TYPE("(a(us)as)"), required, error);

    return reply ? admission_read(reply) : NULL;
}

void
vq_admit_withdraw(const VqAdmitSettings *settings, const char *domain)
{
    g_autoptr(GVariant) reply = ask(settings, "Withdraw", domain, G_VARIANT_TYPE_UNIT, false, NULL);
}
