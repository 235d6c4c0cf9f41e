/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tells the thread sanitizer of the order that GLib's own locks and queues give, which it cannot
 * see: the distribution's GLib is not instrumented, and its locks are futexes. Preloaded by
 * tools/check into the tests of a -Db_sanitize=thread build; covers what our sources use.
 */
#include <dlfcn.h>
#include <glib.h>

void __tsan_acquire(void *address);
void __tsan_release(void *address);

/* The function that this one stands in front of, looked up once: the answer is always the same. */
#define REAL(name)                                                                                 \
    static __typeof__(&name) real;                                                                 \
    if (!__atomic_load_n(&real, __ATOMIC_ACQUIRE))                                                 \
    __atomic_store_n(&real, (__typeof__(&name))dlsym(RTLD_NEXT, #name), __ATOMIC_RELEASE)

#undef g_mutex_trylock

void
g_mutex_lock(GMutex *mutex)
{
    REAL(g_mutex_lock);
    real(mutex);
    __tsan_acquire(mutex);
}

gboolean
g_mutex_trylock(GMutex *mutex)
{
    REAL(g_mutex_trylock);
    gboolean locked = real(mutex);

    if (locked)
        __tsan_acquire(mutex);
    return locked;
}

void
g_mutex_unlock(GMutex *mutex)
{
    REAL(g_mutex_unlock);
    __tsan_release(mutex);
    real(mutex);
}

void
g_cond_wait(GCond *cond, GMutex *mutex)
{
    REAL(g_cond_wait);
    __tsan_release(mutex);
    real(cond, mutex);
    __tsan_acquire(mutex);
}

gboolean
g_cond_wait_until(GCond *cond, GMutex *mutex, gint64 end_time)
{
    REAL(g_cond_wait_until);
    gboolean signalled;

    __tsan_release(mutex);
    signalled = real(cond, mutex, end_time);
    __tsan_acquire(mutex);
    return signalled;
}

/* What crosses threads by a queue or a main context is ordered by the data it carries. */

typedef struct {
    GFunc function;
    gpointer user_data;
} Pool;

static void
pool_function(gpointer data, gpointer user_data)
{
    const Pool *pool = user_data;

    __tsan_acquire(data);
    pool->function(data, pool->user_data);
}

GThreadPool *
g_thread_pool_new(GFunc function, gpointer user_data, gint max_threads, gboolean exclusive,
                  GError **error)
{
    REAL(g_thread_pool_new);
    Pool *pool = g_new(Pool, 1);

    *pool = (Pool){function, user_data};
    /* never freed: a pool may outlive its handle */
    return real(pool_function, pool, max_threads, exclusive, error);
}

gboolean
g_thread_pool_push(GThreadPool *pool, gpointer data, GError **error)
{
    REAL(g_thread_pool_push);
    __tsan_release(data);
    return real(pool, data, error);
}

typedef struct {
    GSourceFunc function;
    gpointer data;
    GDestroyNotify notify;
} Idle;

static gboolean
idle_function(gpointer data)
{
    Idle *idle = data;

    __tsan_acquire(idle->data);
    return idle->function(idle->data);
}

static void
idle_free(gpointer data)
{
    Idle *idle = data;

    if (idle->notify)
        idle->notify(idle->data);
    g_free(idle);
}

guint
g_idle_add_full(gint priority, GSourceFunc function, gpointer data, GDestroyNotify notify)
{
    REAL(g_idle_add_full);
    Idle *idle = g_new(Idle, 1);

    *idle = (Idle){function, data, notify};
    __tsan_release(data);
    return real(priority, idle_function, idle, idle_free);
}
