/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtq top: shows frames until it is told to stop. On a terminal on the other screen, in raw mode,
 * both given back however it ends; else, or with --batch, one frame below the other.
 */
#include "top.h"

#include "output.h"

#include "base/error.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define DELAY_DEFAULT 2.0
#define DELAY_MIN     0.2 /* rates need that long */
#define DELAY_MAX     3600.0
/* Until the first frame with rates. */
#define FIRST_DELAY    1.0
#define ASK_TIMEOUT_MS 5000

/* Other screen, no cursor; and back. */
#define ENTER      "\033[?1049h\033[?25l"
#define LEAVE      "\033[?25h\033[?1049l"
#define HOME       "\033[H"
#define CLEAR_LINE "\033[K"
#define CLEAR_REST "\033[J"

typedef struct {
    const VqTool *tool;
    VqTopView view;
    double delay;
    bool screen; /* a terminal is drawn on */
    GVariant *last;
    double cpu_seconds; /* of the daemon, as last seen; it goes down when it is restarted */
    char *notice;
} Top;

static volatile sig_atomic_t stopped; /* number of the signal that says so, or 0 */

static void
on_signal(int number)
{
    stopped = number;
}

/* poll() returns, and the frame is drawn anew. */
static void
on_resize(int number)
{
}

/* Asks once; what went wrong is for the head of the frame. False: there is no answer. */
static bool
ask(Top *top, GError **error)
{
    /* half the delay: an answer given to somebody else meanwhile does */
    unsigned age_ms = (unsigned)(top->delay * 500);
    GVariant *counters = vq_counters_ask(top->tool, age_ms, ASK_TIMEOUT_MS, error);
    g_autoptr(GVariant) cpu = NULL;
    double seconds = 0;

    g_clear_pointer(&top->notice, g_free);
    if (!counters)
        return false;
    cpu = g_variant_lookup_value(counters, "daemon_cpu_seconds", G_VARIANT_TYPE_DOUBLE);
    seconds = cpu ? g_variant_get_double(cpu) : 0;
    if (seconds < top->cpu_seconds)
        top->notice = g_strdup("virtqueued was restarted; its counters begin anew");
    top->cpu_seconds = seconds;
    g_clear_pointer(&top->last, g_variant_unref);
    top->last = counters;
    return true;
}

static void
show(Top *top)
{
    struct winsize size = {0};

    if (top->screen && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
        top->view.width = size.ws_col;
        top->view.height = size.ws_row > 1 ? size.ws_row - 1u : size.ws_row;
    }
    top->view.notice = top->notice;

    g_autofree char *frame = vq_top_frame(top->last, &top->view);

    if (top->screen) {
        g_auto(GStrv) lines = g_strsplit(frame, "\n", -1);
        g_autofree char *text = g_strjoinv(CLEAR_LINE "\r\n", lines);

        printf(HOME "%s" CLEAR_REST, text);
    } else {
        fputs(frame, stdout);
    }
    fflush(stdout);
}

/* A failure is shown above the last numbers, and the next attempt follows. */
static void
refresh(Top *top)
{
    g_autoptr(GError) error = NULL;

    if (!ask(top, &error))
        top->notice = g_strdup_printf("no answer: %s%s", error->message,
                                      top->last ? "; below is what was known" : "");
}

/* Keys for up to @seconds; false: the end. */
static bool
wait_keys(Top *top, double seconds)
{
    gint64 end = g_get_monotonic_time() + (gint64)(seconds * G_USEC_PER_SEC);
    struct pollfd input = {.fd = top->screen ? STDIN_FILENO : -1, .events = POLLIN};
    gint64 left;
    char key;

    while (!stopped && (left = end - g_get_monotonic_time()) > 0) {
        int n = poll(&input, 1, (int)(left / 1000) + 1);

        if (n < 0 && errno == EINTR && !stopped)
            show(top); /* the window has another size */
        if (n <= 0)
            continue;
        if (read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q')
            return false;
        if (key == ' ')
            return true;
        for (const VqEnumEntry *e = vq_top_sort_names; e->name; e++) {
            if (*e->name == key) {
                top->view.sort = e->value;
                show(top);
            }
        }
    }
    return !stopped;
}

static const int watched[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH};

/* @before: of as many as are watched. */
static void
watch_signals(struct sigaction *before)
{
    stopped = 0;
    for (guint i = 0; i < G_N_ELEMENTS(watched); i++) {
        /* without SA_RESTART: poll() is to return */
        const struct sigaction action = {.sa_handler =
                                             watched[i] == SIGWINCH ? on_resize : on_signal};

        sigaction(watched[i], &action, &before[i]);
    }
}

/* Until @count frames were shown (0: no limit), a key or a signal. */
static void
run(Top *top, unsigned count)
{
    struct sigaction before[G_N_ELEMENTS(watched)];
    bool more;

    watch_signals(before);
    if (top->screen)
        show(top); /* what there is; rates are there after the next */
    more = wait_keys(top, MIN(top->delay, FIRST_DELAY));
    for (unsigned i = 1; more; i++) {
        refresh(top);
        show(top);
        if (count && i >= count)
            break;
        more = wait_keys(top, top->delay);
        if (more && !top->screen)
            putchar('\n');
    }
    for (guint i = 0; i < G_N_ELEMENTS(watched); i++)
        sigaction(watched[i], &before[i], NULL);
}

static void
run_on_screen(Top *top, unsigned count)
{
    struct termios before, raw;

    if (tcgetattr(STDIN_FILENO, &before) < 0) {
        top->screen = false;
        run(top, count);
        return;
    }
    raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
    fputs(ENTER, stdout);
    run(top, count);
    fputs(LEAVE, stdout);
    fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
}

/* As data each frame is a document. */
static bool
run_as_data(Top *top, unsigned count, GError **error)
{
    bool more = wait_keys(top, MIN(top->delay, FIRST_DELAY));

    for (unsigned i = 1; more; i++) {
        if (!ask(top, error))
            return false;
        vq_output_data(top->tool, g_variant_ref(top->last));
        fflush(stdout);
        more = (!count || i < count) && wait_keys(top, top->delay);
    }
    return true;
}

typedef struct {
    gboolean once, batch;
    int count;
    double delay;
    char *sort, *input;
} Options;

static bool
check_options(const Options *o, Top *top, GError **error)
{
    int sort = VQ_TOP_BY_DOMAIN;

    if (!isfinite(o->delay) || o->delay < DELAY_MIN || o->delay > DELAY_MAX) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT, "--delay %g is not within %g..%g seconds",
                    o->delay, DELAY_MIN, DELAY_MAX);
        return false;
    }
    if (o->count < 0) {
        g_set_error(error, VQ_ERROR, VQ_ERROR_LIMIT, "--count %d is below 0", o->count);
        return false;
    }
    if (o->sort && !vq_enum_from_name(vq_top_sort_names, o->sort, &sort)) {
        g_autofree char *list = vq_enum_list(vq_top_sort_names);

        g_set_error(error, VQ_ERROR, VQ_ERROR_INVALID, "--sort '%s' is not %s", o->sort, list);
        return false;
    }
    top->delay = o->delay;
    top->view.sort = (VqTopSort)sort;
    return true;
}

/* The first answer is demanded: without a daemon there is nothing to look at. */
static bool
watch(Top *top, const Options *o, GError **error)
{
    unsigned count = o->once ? 1 : (unsigned)o->count;

    if (!ask(top, error))
        return false;
    if (top->tool->format != VQ_FORMAT_TABLE)
        return run_as_data(top, count, error);
    top->screen = !o->once && !o->batch && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    if (top->screen)
        run_on_screen(top, count);
    else
        run(top, count);
    return true;
}

static bool
show_file(Top *top, const char *path, GError **error)
{
    top->last = vq_counters_read(path, error);
    if (!top->last)
        return false;
    show(top);
    return true;
}

bool
vq_cmd_top(VqTool *tool, const VqCommand *command, int argc, char **argv, GError **error)
{
    Options o = {.delay = DELAY_DEFAULT};
    Top top = {.tool = tool};
    bool done;
    const GOptionEntry entries[] = {
        {"once", '1', 0, G_OPTION_ARG_NONE, &o.once, "one frame, with the rates of a second", NULL},
        {"batch", 'b', 0, G_OPTION_ARG_NONE, &o.batch, "one frame below the other, as to a file",
         NULL},
        {"count", 'n', 0, G_OPTION_ARG_INT, &o.count, "end after so many frames", "N"},
        {"delay", 'd', 0, G_OPTION_ARG_DOUBLE, &o.delay, "between frames (2)", "SECONDS"},
        {"sort", 'o', 0, G_OPTION_ARG_STRING, &o.sort, "domain, load, cpu, work, requests or node",
         "KEY"},
        {"input", 'i', 0, G_OPTION_ARG_FILENAME, &o.input,
         "one frame of what 'virtq --format json metrics' printed", "FILE"},
        {NULL},
    };
    bool ok = vq_command_parse(command, entries, &argc, &argv, &done, error);

    if (ok && !done)
        ok = check_options(&o, &top, error) &&
             (o.input ? show_file(&top, o.input, error) : watch(&top, &o, error));
    g_clear_pointer(&top.last, g_variant_unref);
    g_free(top.notice);
    g_free(o.sort);
    g_free(o.input);
    return ok;
}
