/* SPDX-License-Identifier: Apache-2.0
 * What a run needs besides its tensors: the workspace, and the filter packed. */
#ifndef BENCH_RUN_BUFFERS_H
#define BENCH_RUN_BUFFERS_H

#include "base/device.h"
#include "cvl/conv.h"

struct run_buffers {
    const struct cvl_device *device;
    void *workspace, *packed;
};

/* Packs the filter where the plan has one and points args->packed at it. On failure nothing is left to free. */
cvl_status run_buffers_create(const struct cvl_device *device, const cvl_plan *plan, cvl_conv_args *args,
                              struct run_buffers *buffers);
void       run_buffers_free(struct run_buffers *buffers);

#endif
