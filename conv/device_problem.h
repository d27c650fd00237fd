/* SPDX-License-Identifier: Apache-2.0
 * The tensors of a problem where a plan reads and writes them. On the CPU they are the problem's own; a GPU has
 * copies. */
#ifndef CONV_DEVICE_PROBLEM_H
#define CONV_DEVICE_PROBLEM_H

#include "base/device.h"
#include "conv/problem.h"

struct cvl_device_problem {
    const struct cvl_device  *device;
    const struct cvl_problem *host;
    cvl_conv_args             args;      /* of a run */
    cvl_quant                 quant;     /* args.quant points here or at the host's; scales and zero points of the filter
                                            are the device's memory */
    void                     *written;   /* the tensor that the pass writes */
    struct cvl_placement      placement;
};

/* NULL placement: the device's alloc and free. Fails with CVL_ENOMEM or CVL_EDEVICE, and leaves nothing behind. Moving
 * a device problem in memory breaks args.quant. */
cvl_status cvl_device_problem_create(const struct cvl_device *device, const struct cvl_problem *host,
                                     const struct cvl_placement *placement, struct cvl_device_problem *problem);
void       cvl_device_problem_destroy(struct cvl_device_problem *problem);

/* What is written becomes all set bits, a NaN in every floating type, or in integers bytes of a5, which saturation does
 * not give: an output that a run leaves out is seen. */
cvl_status cvl_device_problem_spoil(const struct cvl_device_problem *problem);

/* Brings what was written to host->written. The work must be done. */
cvl_status cvl_device_problem_fetch(const struct cvl_device_problem *problem);

#endif
