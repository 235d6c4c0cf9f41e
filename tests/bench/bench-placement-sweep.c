/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cost of placement at one size, as a JSON object: CPU time from nothing and of four kinds of
 * later call (vq_placement_step()), each in several runs, and the heap that one call needs at its
 * peak. A process for each size, so that sizes do not share a heap. Partner:
 * tools/lib/bench_placement.py, which sweeps and plots.
 *
 * usage: bench-placement-sweep CORES PUS-PER-CORE THREADS DEDICATED FILL RUNS
 * DEDICATED: per cent of the pool's cores that dedicated threads take; FILL: load of the shared
 * threads in per cent of the cores left to them. VMs have 16 threads on two disks; the pool is
 * everything but the first core, which is harder than any real one.
 */
#include "support/machine.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define THREADS_PER_VM 16
#define NODES          4

/* Bytes in use by malloc() and their peak: counted here, since the C library counts no peak. */
static size_t heap, heap_peak;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *pointer, size_t size);
void __libc_free(void *pointer);

static void *
counted(void *pointer)
{
    heap += pointer ? malloc_usable_size(pointer) : 0;
    heap_peak = MAX(heap_peak, heap);
    return pointer;
}

void *
malloc(size_t size)
{
    return counted(__libc_malloc(size));
}

void *
calloc(size_t count, size_t size)
{
    return counted(__libc_calloc(count, size));
}

void *
realloc(void *pointer, size_t size)
{
    heap -= pointer ? malloc_usable_size(pointer) : 0;
    return counted(__libc_realloc(pointer, size));
}

void
free(void *pointer)
{
    heap -= pointer ? malloc_usable_size(pointer) : 0;
    __libc_free(pointer);
}

typedef struct {
    guint cores, pus, threads, dedicated, fill, runs;
} Size;

typedef struct {
    const char *name;
    GArray *ms; /* of double, one a run */
    guint moves;
    size_t bytes; /* heap at the peak of a call, above what was there before */
} Series;

static double
cpu_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void
add_vm(TestCase *test, guint vm, guint threads, VqPlacement class, double mean, GRand *random)
{
    g_autofree char *name = g_strdup_printf("vm%u", vm);

    for (guint i = 0; i < threads; i++) {
        VqThread *thread = test_thread(test->threads, name, i < threads / 2 ? "vda" : "vdb", i + 1,
                                       class, (int)(vm % NODES));

        thread->load = MIN(g_rand_double_range(random, 0, 2 * mean), 0.75);
        vq_cpuset_add(thread->memory_nodes, vm / 3 % NODES);
    }
}

static TestCase *
make_case(const Size *size, GRand *random)
{
    TestCase *test = g_new0(TestCase, 1);
    guint dedicated = MIN((size->cores - 1) * size->dedicated / 100, size->cores - 2);
    guint left = size->cores - 1 - dedicated,
          shared = size->threads - MIN(dedicated, size->threads);
    double mean = size->fill / 100.0 * left / MAX(shared, 1);
    guint vm = 0;

    test->topology = test_machine(2, NODES / 2, size->cores / NODES, size->pus);
    test->pool = vq_cpuset_copy(test->topology->usable);
    vq_cpuset_subtract(test->pool, ((VqCore *)test->topology->cores->pdata[0])->pus);
    test->threads = g_ptr_array_new_with_free_func((GDestroyNotify)vq_thread_free);
    test->input =
        (VqPlacementInput){test->topology, test->pool, test->threads, vq_placement_defaults};
    for (guint n; (n = MIN(dedicated, THREADS_PER_VM)) > 0; dedicated -= n)
        add_vm(test, vm++, n, VQ_PLACEMENT_DEDICATED, 0.3, random);
    for (guint n; size->dedicated < 100 && (n = MIN(shared, THREADS_PER_VM)) > 0; shared -= n)
        add_vm(test, vm++, n, VQ_PLACEMENT_SHARED, mean, random);
    return test;
}

/* @last: the plan in force, of which only what changes is asked; NULL: from nothing. */
static VqPlan *
timed(TestCase *test, Series *series, const VqPlan *last)
{
    size_t before = heap;
    double start = cpu_ms(), took;
    VqPlan *plan;

    heap_peak = heap;
    plan = last ? vq_placement_step(&test->input, last) : vq_placement_compute(&test->input);
    took = cpu_ms() - start;
    g_array_append_val(series->ms, took);
    series->moves = MAX(series->moves, plan->moves->len);
    series->bytes = MAX(series->bytes, heap_peak - before);
    return plan;
}

/* One thread in twenty works half or twice as much. */
static void
shift_load(TestCase *test, GRand *random)
{
    for (guint i = 0; i < test->threads->len; i++) {
        VqThread *thread = g_ptr_array_index(test->threads, i);

        if (g_rand_int_range(random, 0, 20) == 0)
            thread->load *= g_rand_boolean(random) ? 0.5 : 2;
    }
}

/* The first VM leaves, another of its kind comes. */
static void
exchange_vm(TestCase *test, guint vm, GRand *random)
{
    const VqThread *first = g_ptr_array_index(test->threads, 0);
    g_autofree char *name = g_strdup(first->domain);
    VqPlacement class = first->class;
    double load = first->load;
    guint count = 0;

    while (count < test->threads->len &&
           g_str_equal(((VqThread *)test->threads->pdata[count])->domain, name))
        count++;
    g_ptr_array_remove_range(test->threads, 0, count);
    add_vm(test, vm, count, class, load, random);
}

static void
one_run(const Size *size, guint run, Series *series)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(run + 1);
    g_autoptr(TestCase) test = make_case(size, random);
    g_autoptr(VqPlan) scratch = timed(test, &series[0], NULL);

    test_case_follow(test, scratch);

    g_autoptr(VqPlan) again = timed(test, &series[1], scratch);

    shift_load(test, random);

    g_autoptr(VqPlan) shift = timed(test, &series[2], scratch);
    g_autoptr(VqPlan) shifted = vq_placement_compute(&test->input);

    test_case_follow(test, shifted);
    exchange_vm(test, 100000, random);

    g_autoptr(VqPlan) exchanged = timed(test, &series[3], shifted);
}

static int
by_value(gconstpointer a, gconstpointer b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Most memory that this process had resident: VmHWM, since getrusage()'s maximum begins with the
 * parent's. */
static gulong
resident_kib(void)
{
    g_autofree char *status = NULL;
    const char *line;

    if (!g_file_get_contents("/proc/self/status", &status, NULL, NULL))
        return 0;
    line = strstr(status, "VmHWM:");
    return line ? strtoul(line + strlen("VmHWM:"), NULL, 10) : 0;
}

static void
print(const Size *size, Series *series, guint count)
{
    printf("{\"cores\": %u, \"pus\": %u, \"threads\": %u, \"dedicated\": %u, \"fill\": %u, "
           "\"runs\": %u, \"max_rss_bytes\": %lu",
           size->cores, size->cores * size->pus, size->threads, size->dedicated, size->fill,
           size->runs, resident_kib() * 1024);
    for (guint i = 0; i < count; i++) {
        GArray *ms = series[i].ms;

        g_array_sort(ms, by_value);
        printf(", \"%s\": {\"min_ms\": %.4f, \"median_ms\": %.4f, \"max_ms\": %.4f, \"moves\": %u, "
               "\"heap_bytes\": %zu}",
               series[i].name, g_array_index(ms, double, 0), g_array_index(ms, double, ms->len / 2),
               g_array_index(ms, double, ms->len - 1), series[i].moves, series[i].bytes);
        g_array_unref(ms);
    }
    printf("}\n");
}

int
main(int argc, char **argv)
{
    Series series[] = {{"scratch"}, {"again"}, {"shift"}, {"exchange"}};
    guint number[6];

    for (int i = 1; i < 7; i++) {
        number[i - 1] = i < argc ? (guint)atoi(argv[i]) : 0;
        if (i >= argc || (number[i - 1] == 0 && i != 4)) {
            fprintf(stderr, "usage: %s CORES PUS-PER-CORE THREADS DEDICATED FILL RUNS\n", argv[0]);
            return 2;
        }
    }

    Size size = {number[0], number[1], number[2], number[3], number[4], number[5]};

    if (size.cores % NODES || size.cores < 2 * NODES) {
        fprintf(stderr, "%s: %u cores: not a multiple of %d from %d\n", argv[0], size.cores, NODES,
                2 * NODES);
        return 2;
    }
    for (guint i = 0; i < G_N_ELEMENTS(series); i++)
        series[i].ms = g_array_new(FALSE, FALSE, sizeof(double));
    for (guint i = 0; i < size.runs; i++)
        one_run(&size, i, series);
    print(&size, series, G_N_ELEMENTS(series));
    return 0;
}
