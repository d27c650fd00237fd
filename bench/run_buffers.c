/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/run_buffers.h"

#include "base/error.h"

cvl_status run_buffers_create(const struct cvl_device *device, const cvl_plan *plan, cvl_conv_args *args,
                              struct run_buffers *buffers)
{
    const size_t workspace_bytes = cvl_plan_workspace_size(plan), packed_bytes = cvl_plan_packed_size(plan);
    cvl_status status = CVL_OK;
    *buffers = (struct run_buffers){ .device = device };
    if (workspace_bytes)
        buffers->workspace = device->alloc(device, workspace_bytes);
    if (packed_bytes)
        buffers->packed = device->alloc(device, packed_bytes);
    if ((workspace_bytes && !buffers->workspace) || (packed_bytes && !buffers->packed))
        status = cvl_fail(CVL_ENOMEM, "no memory for a workspace of %zu bytes and a packed filter of %zu",
                          workspace_bytes, packed_bytes);
    else if (packed_bytes) {
        status = cvl_plan_pack(plan, args, buffers->packed);
        args->packed = buffers->packed;
    }
    if (status != CVL_OK)
        run_buffers_free(buffers);
    return status;
}

void run_buffers_free(struct run_buffers *buffers)
{
    if (buffers->workspace)
        buffers->device->free(buffers->device, buffers->workspace);
    if (buffers->packed)
        buffers->device->free(buffers->device, buffers->packed);
    *buffers = (struct run_buffers){ .device = NULL };
}
