/* SPDX-License-Identifier: Apache-2.0
 * One candidate in a measurement, and the memory that all of them share: it packs, is checked, and gives samples. When
 * one of these steps fails the candidate is settled, with its outcome and a reason. */
#ifndef TUNER_CONTENDER_H
#define TUNER_CONTENDER_H

#include "base/error.h"
#include "conv/device_problem.h"
#include "tuner/evict.h"
#include "tuner/gpu_timing.h"
#include "tuner/measure.h"

#define CVL_CHECKED_OUTPUTS 256

struct cvl_contender {
    struct cvl_measurement *out;
    void                   *packed;      /* one for each set of buffers; NULL: the raw filter */
    bool                    owns_packed;
    bool                    live;        /* takes part in the rounds to come */
    int                     runs;        /* of one sample; 0: never timed */
    double                  first_s;     /* what the run took that was checked; on a GPU, the one after it */
    struct cvl_gpu_capture  capture;     /* on a GPU: its runs */
};

struct cvl_arena {
    const cvl_ctx        *ctx;           /* set before create, like the next two */
    cvl_state             state;
    double              (*now)(void);
    double                eviction_s;    /* what the last one took */
    struct cvl_problem    problem;
    struct cvl_device_problem on_device; /* of a CPU's device: the problem itself */
    struct cvl_gpu_timing gpu;           /* sets: 0 on a CPU */
    struct cvl_evictor    evictor;
    const struct cvl_contender *latest;  /* who left the caches as it likes them; NULL: nobody */
    void                 *workspace;     /* as large as the largest that a live contender needs */
    size_t                checked, indices[CVL_CHECKED_OUTPUTS];
    double                want[CVL_CHECKED_OUTPUTS];
    int                   count;
    struct cvl_contender *contenders;    /* the caller's; those whose workspace is not to be had are settled */
};

/* How many runs the first sample has: all buffers are to be gone round. And may it have more? */
int  cvl_arena_least_runs(const struct cvl_arena *arena);
bool cvl_arena_may_repeat(const struct cvl_arena *arena, int runs);

/* CVL_ENOMEM leaves nothing behind. */
cvl_status cvl_arena_create(struct cvl_arena *arena, const cvl_conv_desc *desc, uint64_t seed);
void       cvl_arena_destroy(struct cvl_arena *arena);

void cvl_contender_settle(struct cvl_contender *contender, cvl_outcome outcome, const char *format, ...)
    CVL_PRINTF(3, 4);

/* False: settled. Packing is timed a few times; candidates with the same packed bytes share them. */
bool cvl_contender_pack(struct cvl_arena *arena, struct cvl_contender *contender);
bool cvl_contender_check(struct cvl_arena *arena, struct cvl_contender *contender);

/* Runs it on the problem's tensors, and waits for the end. */
cvl_status cvl_contender_run(struct cvl_arena *arena, const struct cvl_contender *contender, int runs);

/* Seconds of one run in a sample of `runs`, the caches prepared as the state says (tuner/caches.h); negative: settled. */
double cvl_contender_sample(struct cvl_arena *arena, struct cvl_contender *contender, int runs);

#endif
