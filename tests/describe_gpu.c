/* SPDX-License-Identifier: Apache-2.0
 * describe-gpu: prints what cuDNN says of the first GPU, as JSON, for plans on machines without it
 * (tests/h100.json). */
#include "base/device.h"
#include "base/error.h"
#include "conv/cuda/cudnn_graph.h"

#include <stdio.h>

int main(void)
{
    static char json[1 << 16];
    const struct cvl_device *device;
    cvl_status status = cvl_device_get(CVL_CUDA, 0, &device);
    if (status == CVL_OK && cvl_cudnn_lacks())
        status = cvl_fail(CVL_EUNSUP, "%s", cvl_cudnn_lacks());
    if (status == CVL_OK)
        status = cvl_cudnn_describe(0, json, sizeof json);
    if (status != CVL_OK) {
        fprintf(stderr, "describe-gpu: %s\n", cvl_last_error());
        return 1;
    }
    puts(json);
    return 0;
}
