/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What libvirt takes for its QEMU driver module: loads the stock module, then tries to load the
 * stacking driver beside this file. Uses libvirt's public ABI only, so that it loads into any
 * libvirt, and nothing else of ours, so that little can be wrong with it. Whatever is not as
 * expected leads to a log line and to stock behaviour.
 *
 * Partner: stack.c.
 */
#include "driver/sentinel.h"

#include "config.h"

#include <dlfcn.h>
#include <libvirt/libvirt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STACK_MODULE "virtqueued_stack.so"
#define REASON_MAX   2048

typedef int (*RegisterFunc)(void);
typedef int (*StackFunc)(RegisterFunc stock, char *reason, size_t size);

/* libvirt's log source and function, of every release since 1.2.9; looked up, never linked. */
typedef struct {
    const char *name;
    unsigned int priority, serial;
} LogSource;
typedef void (*LogFunc)(LogSource *source, int priority, const char *file, int line,
                        const char *function, void *metadata, const char *format, ...);

#define LOG_WARN  3
#define LOG_ERROR 4

static void
say(int priority, const char *text, const char *reason)
{
    static LogSource source = {"virtqueued.loader", LOG_ERROR, 0};
    unsigned long version = 0;
    char symbol_version[64];
    LogFunc log = NULL;

    if (virGetVersion(&version, NULL, NULL) == 0) {
        snprintf(symbol_version, sizeof symbol_version, "LIBVIRT_PRIVATE_%lu.%lu.%lu",
                 version / 1000000, version / 1000 % 1000, version % 1000);
        log = (LogFunc)dlvsym(RTLD_DEFAULT, "virLogMessage", symbol_version);
    }
    if (log)
        log(&source, priority, __FILE__, __LINE__, __func__, NULL, "virtqueued: %s: %s", text,
            reason);
    else
        fprintf(stderr, "virtqueued: %s: %s\n", text, reason);
}

static RegisterFunc
load_stock(const char *self)
{
    char stock_path[PATH_MAX];
    void *module;
    RegisterFunc function;

    if (realpath(VQ_STOCK_DRIVER, stock_path) && strcmp(stock_path, self) == 0) {
        say(LOG_ERROR, "no QEMU driver", VQ_STOCK_DRIVER " is not libvirt's but this extension");
        return NULL;
    }
    module = dlopen(VQ_STOCK_DRIVER, RTLD_NOW | RTLD_GLOBAL | RTLD_NODELETE);
    function = module ? (RegisterFunc)dlsym(module, "qemuRegister") : NULL;
    if (!function)
        say(LOG_ERROR, "no QEMU driver", dlerror());
    return function;
}

/* The extension lies beside this file, symbolic links to it resolved. */
static StackFunc
load_stack(const char *self, char *reason, size_t size)
{
    char path[PATH_MAX + sizeof STACK_MODULE];
    char *slash;
    void *module;
    StackFunc function;

    snprintf(path, sizeof path, "%s", self);
    slash = strrchr(path, '/');
    snprintf(slash ? slash + 1 : path, sizeof STACK_MODULE, "%s", STACK_MODULE);
    module = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    function = module ? (StackFunc)dlsym(module, "virtqueued_stack_register") : NULL;
    if (!function)
        snprintf(reason, size, "%s", dlerror());
    return function;
}

static bool
find_self(char *path)
{
    Dl_info info;

    return dladdr(&STACK_MODULE, &info) && info.dli_fname && realpath(info.dli_fname, path);
}

__attribute__((visibility("default"))) int qemuRegister(void);

/* libvirt calls this once in a daemon, and at each connection where the driver is embedded. */
int
qemuRegister(void)
{
    static int registered;
    char self[PATH_MAX] = "", reason[REASON_MAX] = "";
    RegisterFunc stock;
    StackFunc stack;
    int result = 1;

    if (__sync_lock_test_and_set(&registered, 1))
        return 0;
    if (!find_self(self))
        snprintf(reason, sizeof reason, "cannot tell where this module lies");
    stock = load_stock(self);
    if (!stock)
        return -1;
    if (reason[0] == '\0' && vq_sentinel_arm(reason, sizeof reason)) {
        stack = load_stack(self, reason, sizeof reason);
        if (stack)
            result = stack(stock, reason, sizeof reason);
    }
    if (result <= 0)
        return result;
    vq_sentinel_disarm();
    say(LOG_WARN, "extension not active, the stock QEMU driver serves alone", reason);
    return stock();
}
