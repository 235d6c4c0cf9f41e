/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtq simulate --plot DIR: NAME.dat (a block for each policy, or a row for each share of cores),
 * NAME.gp, and what gnuplot makes of them, NAME.svg and NAME.png. The first two can be plotted anew
 * elsewhere: cd DIR; gnuplot NAME.gp
 */
#include "simulate.h"

#include "base/error.h"

#include <glib/gstdio.h>

#define ROWS_MAX 720 /* points of a curve: more are not seen, steps are averaged */

static const char head[] = "if (!exists('kind')) kind = 'svg'\n"
                           "if (kind eq 'svg') set terminal svg size 900,1150 font 'sans,11' "
                           "background 'white'\n"
                           "if (kind eq 'png') set terminal pngcairo size 900,1150 font 'sans,9'\n"
                           "set output name.'.'.kind\n"
                           "set grid; set key outside right top; set style data lines\n"
                           "set lmargin 10; set rmargin 20\n";

static const struct {
    const char *title, *y, *column;
} panels[] = {
    {"Load of the busiest core", "per cent", "4"},
    {"I/O cores in use", "cores", "5"},
    {"Shared threads on cores over the limit", "per cent", "6"},
    {"Work on remote nodes", "per cent", "7"},
    {"Moves so far, and one", "moves", "(column(8)+1)"},
};

/* The mean of a few samples as a row: hours, VMs, demand, ... */
static void
write_row(GString *out, const VqSimSample *samples, guint count)
{
    VqSimSample sum = {.time = samples[0].time, .moves = samples[count - 1].moves};
    double cores = 0, vms = 0;

    for (guint i = 0; i < count; i++) {
        vms += samples[i].vms;
        cores += samples[i].cores;
        sum.demand += samples[i].demand;
        sum.busiest = MAX(sum.busiest, samples[i].busiest);
        sum.over += samples[i].over;
        sum.remote += samples[i].remote;
    }

    const double columns[] = {(double)sum.time / 3600000, vms / count,      sum.demand / count,
                              sum.busiest * 100,          cores / count,    sum.over / count * 100,
                              sum.remote / count * 100,   (double)sum.moves};

    for (guint i = 0; i < G_N_ELEMENTS(columns); i++) {
        char text[G_ASCII_DTOSTR_BUF_SIZE];

        g_string_append_printf(out, "%s%s", i ? " " : "",
                               g_ascii_formatd(text, sizeof(text), "%.6g", columns[i]));
    }
    g_string_append_c(out, '\n');
}

static char *
policies_data(const VqSimulation *s)
{
    GString *out = g_string_new("# hours VMs demand(cores) busiest(%) cores over(%) remote(%) "
                                "moves; a block for each policy\n");

    for (guint i = 0; i < s->results->len; i++) {
        const VqSimResult *r = g_ptr_array_index(s->results, i);
        guint bucket = (r->samples->len + ROWS_MAX - 1) / ROWS_MAX;

        g_string_append_printf(out, "%s\"%s\"\n", i ? "\n\n" : "",
                               vq_enum_name(vq_sim_policy_names, (int)r->policy));
        for (guint k = 0; k < r->samples->len; k += bucket)
            write_row(out, &g_array_index(r->samples, VqSimSample, k),
                      MIN(bucket, r->samples->len - k));
    }
    return g_string_free(out, FALSE);
}

static char *
policies_script(const VqSimulation *s)
{
    GString *out = g_string_new("name = 'simulate'\n");

    g_string_append_printf(out, "%sset multiplot layout %u,1\n", head,
                           (guint)G_N_ELEMENTS(panels) + 1);
    g_string_append(out, "set title 'Load asked for'; set ylabel 'cores'\n"
                         "plot 'simulate.dat' index 0 using 1:3 title 'all policies' lc 'black'\n");
    for (guint i = 0; i < G_N_ELEMENTS(panels); i++) {
        bool last = i + 1 == G_N_ELEMENTS(panels);

        g_string_append_printf(out, "set title '%s'; set ylabel '%s'; set xlabel '%s'\n",
                               panels[i].title, panels[i].y,
                               last ? "hours'; set logscale y; set format y '%g" : "");
        g_string_append_printf(out,
                               "plot for [i=0:%u] 'simulate.dat' index i using 1:%s "
                               "title columnheader(1)\n",
                               s->results->len - 1, panels[i].column);
    }
    g_string_append(out, "unset multiplot\n");
    return g_string_free(out, FALSE);
}

static bool
write_file(const char *directory, const char *name, const char *text, GError **error)
{
    g_autofree char *path = g_build_filename(directory, name, NULL);

    return g_file_set_contents(path, text, -1, error);
}

static bool
run_gnuplot(const char *directory, const char *name, const char *kind, GError **error)
{
    g_autofree char *script = g_strdup_printf("%s.gp", name);
    g_autofree char *setting = g_strdup_printf("kind = '%s'", kind);
    g_autofree char *output = NULL;
    char *argv[] = {(char *)"gnuplot", (char *)"-e", setting, script, NULL};
    int status;

    if (!g_spawn_sync(directory, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, &output,
                      &status, error)) {
        g_prefix_error(error,
                       "--plot: %s.dat and %s are in '%s', but gnuplot did not start (Debian: "
                       "package gnuplot-nox): ",
                       name, script, directory);
        return false;
    }
    if (g_spawn_check_wait_status(status, error))
        return true;
    g_prefix_error(error, "--plot: gnuplot %s in '%s': %s: ", script, directory, g_strchug(output));
    return false;
}

static bool
plot(const char *directory, const char *name, const char *data, const char *script, GError **error)
{
    g_autofree char *dat = g_strdup_printf("%s.dat", name);
    g_autofree char *gp = g_strdup_printf("%s.gp", name);

    if (g_mkdir_with_parents(directory, 0777) != 0) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_FAILED, "--plot: cannot make directory '%s'",
                    directory);
        return false;
    }
    return write_file(directory, dat, data, error) && write_file(directory, gp, script, error) &&
           run_gnuplot(directory, name, "svg", error) && run_gnuplot(directory, name, "png", error);
}

bool
vq_simulate_plot(const char *directory, const VqSimulation *s, GError **error)
{
    g_autofree char *data = policies_data(s), *script = policies_script(s);

    return plot(directory, "simulate", data, script, error);
}

bool
vq_simulate_plot_shares(const char *directory, const char *rows, GError **error)
{
    g_autofree char *script = g_strconcat(
        "name = 'shares'\n", head,
        "set multiplot layout 2,1; set style data linespoints\n"
        "set title 'What I/O cores are worth'; set ylabel 'per cent'\n"
        "plot for [i=2:5] 'shares.dat' using 1:i title columnheader(i)\n"
        "set title 'What they cost'; set xlabel 'cores for I/O, per cent'\n"
        "plot for [i=6:7] 'shares.dat' using 1:i title columnheader(i)\nunset multiplot\n",
        NULL);

    return plot(directory, "shares", rows, script, error);
}
