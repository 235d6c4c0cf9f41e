/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * QEMU's qtest protocol: port and memory accesses in the place of a CPU, a line each, answered by
 * QEMU's main loop.
 *
 * A connection that breaks is not an error of each access: reads then give all ones, as an absent
 * device does, and syn_qtest_broken() tells. Any thread; a mutex keeps lines whole.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct _SynQtest SynQtest;

/* @fd: a connected stream socket, which it then owns. */
SynQtest *syn_qtest_new(int fd);
void syn_qtest_free(SynQtest *qtest);
bool syn_qtest_broken(SynQtest *qtest);

/* @bits: 8, 16, 32 (and 64 for memory). Return when QEMU has done it. */
void syn_qtest_out(SynQtest *qtest, unsigned bits, uint16_t port, uint32_t value);
uint32_t syn_qtest_in(SynQtest *qtest, unsigned bits, uint16_t port);
void syn_qtest_write(SynQtest *qtest, unsigned bits, uint64_t address, uint64_t value);
uint64_t syn_qtest_read(SynQtest *qtest, unsigned bits, uint64_t address);

/* A 16-bit write that does not wait for QEMU's answer: the kick of a queue. */
void syn_qtest_kick(SynQtest *qtest, uint64_t address, uint16_t value);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(SynQtest, syn_qtest_free)
