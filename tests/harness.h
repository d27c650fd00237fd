/* SPDX-License-Identifier: Apache-2.0
 * Holds every candidate of every algorithm that accepts a problem against the oracle, in every way it can be run: raw
 * and packed filter, any number of threads, a host's pool, the residual in place, guard pages at either end. */
#ifndef TESTS_HARNESS_H
#define TESTS_HARNESS_H

#include "base/device.h"
#include "tally.h"

/* What is in the image that is read (FWD, BWD_FILTER: x; BWD_DATA: y) besides random numbers. FILL_LARGEST: all bytes
 * that are read are as large as they can be, so that the sums are. */
enum fill { FILL_PLAIN, FILL_DENORMAL, FILL_INFINITE, FILL_NAN, FILL_LARGEST, FILLS };

/* One thread; three threads; a host's pool of three that runs tasks from the last to the first, on one thread. On a GPU
 * all the same but for the stream: the default one in the first, one of its own in the others. */
enum { HARNESS_SERIAL, HARNESS_PARALLEL, HARNESS_REVERSED, HARNESS_CTXS };

struct harness {
    cvl_ctx     *ctx[HARNESS_CTXS];
    const struct cvl_device *device;
    void        *stream;          /* of a GPU, for the contexts that have one of their own */
    const char  *only;            /* one algorithm by name; NULL: all of them */
    struct tally tally;           /* of plain fills */
    long         problems, runs, failures;
};

/* On this device, and at the level that CVL_ISA names. Prints why and returns false when there is no context. */
bool harness_create(struct harness *harness, cvl_device_kind kind, int index);
void harness_destroy(struct harness *harness);

/* Prints a line for each failure: candidate, way of running, problem, and what was wrong. Nothing is done where the
 * types cannot hold the fill. */
void harness_check(struct harness *harness, const cvl_conv_desc *desc, enum fill fill);

#endif
