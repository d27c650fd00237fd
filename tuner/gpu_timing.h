/* SPDX-License-Identifier: Apache-2.0
 * Samples on a GPU: many runs are captured in a graph, and the device's own events time one replay of it, so that
 * neither launches nor the host's clock are in the figure. Warm (CVL_HOT) replays work on the same buffers; cold ones
 * go round sets of buffers that together are three times as large as the L2 cache, of the filter alone for
 * CVL_COLD_FILTER. */
#ifndef TUNER_GPU_TIMING_H
#define TUNER_GPU_TIMING_H

#include "conv/device_problem.h"
#include "cvl/tuner.h"

#define CVL_GPU_SAMPLE_S 200e-6    /* a replay takes at least this long */
#define CVL_GPU_RUNS_MAX 4096      /* nodes of a graph take memory and time to make */

struct cvl_gpu_timing {
    const struct cvl_device   *device;
    cvl_state                  state;
    void                      *stream;
    struct cvl_timer          *timer;
    int                        sets;      /* of buffers */
    struct cvl_device_problem *set;
    double                     pace_s;    /* the least time of the reference kernel so far; 0: none */
    double                     pace_last_s;
};

/* One candidate's runs, captured; what it holds is the candidate's until cvl_gpu_capture_free. */
struct cvl_gpu_capture {
    struct cvl_graph *graph;              /* NULL: not yet, or not capturable */
    int               runs;
    bool              refused;            /* the plan cannot be captured: its runs are launched one by one */
};

/* Fails with CVL_ENOMEM or CVL_EDEVICE and leaves nothing behind. */
cvl_status cvl_gpu_timing_create(struct cvl_gpu_timing *timing, const struct cvl_device *device, cvl_state state,
                                 const struct cvl_problem *host);
void       cvl_gpu_timing_destroy(struct cvl_gpu_timing *timing);

/* What run number `run` works on. packed: one packed filter for each set, `packed_stride` bytes apart; or NULL. */
cvl_conv_args cvl_gpu_timing_args(const struct cvl_gpu_timing *timing, int run, const void *packed,
                                  size_t packed_stride);

/* Seconds of one run in a replay of `runs`. One run goes before that is not timed, when `warm_up` says so. */
cvl_status cvl_gpu_timing_sample(struct cvl_gpu_timing *timing, const cvl_plan *plan, const void *packed,
                                 size_t packed_stride, void *workspace, int runs, bool warm_up,
                                 struct cvl_gpu_capture *capture, double *seconds);
void       cvl_gpu_capture_free(const struct cvl_gpu_timing *timing, struct cvl_gpu_capture *capture);

/* Before a round: runs the reference kernel until it is as fast as it has ever been, within two hundredths, ten times
 * at most; the clock then is where it was in the other rounds. */
cvl_status cvl_gpu_timing_settle(struct cvl_gpu_timing *timing);

#endif
