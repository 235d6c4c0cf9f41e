/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What reading loads costs: real schedstat files of threads of our own, which sleep, read and
 * evaluated as the daemon does it. Prints CPU time; not a test, since time depends on the machine.
 */
#include "core/rebalance.h"
#include "host/load-source.h"
#include "support/machine.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define VMS     64
#define THREADS 16 /* of each */
#define ROUNDS  200

static GMutex lock;
static GCond wake;
static bool end;
static GArray *tids; /* of int */

static gpointer
doze(gpointer data)
{
    int tid = gettid();

    g_mutex_lock(&lock);
    g_array_append_val(tids, tid);
    g_cond_broadcast(&wake);
    while (!end)
        g_cond_wait(&wake, &lock);
    g_mutex_unlock(&lock);
    return NULL;
}

static double
cpu_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* A plan that has all of them, eight on a core. */
static VqPlan *
make_plan(const VqTopology *topology)
{
    VqPlan *plan = vq_plan_new();

    for (unsigned i = 0; i < VMS * THREADS; i++) {
        g_autofree char *domain = g_strdup_printf("vm%u", i / THREADS);
        VqPlaced *placed = vq_plan_add(plan, domain, "vda", i % THREADS + 1);

        placed->class = placed->wanted = VQ_PLACEMENT_SHARED;
        placed->cpu = placed->core = (int)(i / 8 % topology->cores->len);
    }
    return plan;
}

static void
print(const char *what, double us, double interval_us)
{
    printf("%-36s %8.1f us for %u threads, %.3f us each; each %.0f ms: %.3f per cent of a core\n",
           what, us, VMS * THREADS, us / (VMS * THREADS), interval_us / 1000,
           100 * us / interval_us);
}

int
main(void)
{
    g_autoptr(VqTopology) topology = test_machine(2, 1, 64, 1);
    g_autoptr(VqCpuset) pool = vq_cpuset_new();
    const VqRebalanceParams params = vq_rebalance_params(NULL);
    VqRebalance *rebalance = vq_rebalance_new(&params, &vq_placement_defaults);
    VqLoadSource *source = vq_schedstat_new("/");
    VqTracked *tracked[VMS * THREADS];
    gpointer opened[VMS * THREADS];
    GThread *threads[VMS * THREADS];
    g_autoptr(VqPlan) plan = make_plan(topology);
    double read_us = 0, sample_us = 0, tick_us = 0;
    gint64 now = G_USEC_PER_SEC;

    tids = g_array_new(FALSE, FALSE, sizeof(int));
    vq_cpuset_add_range(pool, 0, 127);
    for (unsigned i = 0; i < VMS * THREADS; i++)
        threads[i] = g_thread_new("IO iothread", doze, NULL);
    g_mutex_lock(&lock);
    while (tids->len < VMS * THREADS)
        g_cond_wait(&wake, &lock);
    g_mutex_unlock(&lock);

    const VqPlacementInput input = {
        .topology = topology, .pool = pool, .params = vq_placement_defaults};

    vq_rebalance_follow(rebalance, plan, &input, VQ_STEP_EVENT, now);
    for (unsigned i = 0; i < VMS * THREADS; i++) {
        const VqThreadTime time = {.pid = getpid(), .tid = g_array_index(tids, int, i)};
        g_autofree char *domain = g_strdup_printf("vm%u", i / THREADS);

        tracked[i] = vq_rebalance_thread(rebalance, domain, i % THREADS + 1);
        opened[i] = source->open(source, NULL, &time);
        if (!opened[i]) {
            fprintf(stderr, "thread %u cannot be read; ulimit -n %d is too little?\n", i,
                    VMS * THREADS + 64);
            return 1;
        }
    }
    for (int k = 0; k < ROUNDS; k++) {
        guint64 work[VMS * THREADS];
        double t0 = cpu_us(), t1, t2;

        now += params.slow.sample_us;
        for (unsigned i = 0; i < VMS * THREADS; i++)
            source->read(source, opened[i], &work[i]);
        t1 = cpu_us();
        for (unsigned i = 0; i < VMS * THREADS; i++)
            vq_rebalance_sample(rebalance, tracked[i], now, work[i], VQ_WORK_CPU_TIME);
        t2 = cpu_us();
        vq_rebalance_tick(rebalance, now, NULL);
        read_us += t1 - t0;
        sample_us += t2 - t1;
        tick_us += cpu_us() - t2;
    }
    print("pread of schedstat", read_us / ROUNDS, (double)params.slow.sample_us);
    print("evaluation", sample_us / ROUNDS, (double)params.slow.sample_us);
    print("tick", tick_us / ROUNDS, (double)params.slow.sample_us);
    print("all", (read_us + sample_us + tick_us) / ROUNDS, (double)params.slow.sample_us);
    print("without pread, as for counters", (sample_us + tick_us) / ROUNDS,
          (double)params.fast.sample_us);
    g_mutex_lock(&lock);
    end = true;
    g_cond_broadcast(&wake);
    g_mutex_unlock(&lock);
    for (unsigned i = 0; i < VMS * THREADS; i++) {
        source->close(source, opened[i]);
        g_thread_join(threads[i]);
    }
    source->free(source);
    vq_rebalance_free(rebalance);
    g_array_unref(tids);
    return 0;
}
