/* SPDX-License-Identifier: Apache-2.0 */
#include "conv/device_problem.h"

#include "base/dtype.h"
#include "base/error.h"

static void *place_by_device(void *arg, size_t bytes, size_t element)
{
    const struct cvl_device *device = arg;
    return device->alloc(device, bytes);
}

static void free_by_device(void *arg, void *memory)
{
    const struct cvl_device *device = arg;
    device->free(device, memory);
}

/* One array of the host's and where its copy's address goes. */
struct array { const void *host; void **device; size_t count, element; };

enum { ARRAYS = 7 };

static void list_arrays(struct cvl_device_problem *problem, struct array arrays[ARRAYS])
{
    const struct cvl_problem *host = problem->host;
    const cvl_conv_desc *desc = &host->desc;
    const enum cvl_tensor written = cvl_conv_written(desc->pass);
    const size_t channels = desc->quant.per_channel ? (size_t)cvl_conv_bias_count(desc) : 1;
    void **const tensors[] = { [CVL_X] = &problem->args.x, [CVL_W] = &problem->args.w, [CVL_Y] = &problem->args.y };
    for (enum cvl_tensor tensor = CVL_X; tensor <= CVL_Y; tensor++)
        arrays[tensor] = (struct array){ cvl_conv_pointer(&host->args, tensor), tensors[tensor],
                                         cvl_conv_count(desc, tensor), cvl_dtype_size(cvl_conv_type(desc, tensor)) };
    arrays[3] = (struct array){ host->args.bias, (void **)&problem->args.bias, (size_t)cvl_conv_bias_count(desc), 4 };
    arrays[4] = (struct array){ host->args.residual, (void **)&problem->args.residual, arrays[written].count,
                                arrays[written].element };
    arrays[5] = (struct array){ host->quant.w_scale, (void **)&problem->quant.w_scale, channels, 4 };
    arrays[6] = (struct array){ host->quant.w_zero, (void **)&problem->quant.w_zero, channels, 4 };
}

static cvl_status copy_arrays(struct cvl_device_problem *problem)
{
    struct array arrays[ARRAYS];
    cvl_status status = CVL_OK;
    list_arrays(problem, arrays);
    for (int i = 0; i < ARRAYS; i++)
        *arrays[i].device = NULL;
    for (int i = 0; i < ARRAYS && status == CVL_OK; i++) {
        const size_t bytes = arrays[i].count * arrays[i].element;
        if (!arrays[i].host)
            continue;
        *arrays[i].device = problem->placement.alloc(problem->placement.arg, bytes, arrays[i].element);
        status = *arrays[i].device ? problem->device->upload(problem->device, *arrays[i].device, arrays[i].host, bytes)
               : cvl_fail(CVL_ENOMEM, "no memory on %s for a tensor of %zu bytes", problem->device->name, bytes);
    }
    return status;
}

cvl_status cvl_device_problem_create(const struct cvl_device *device, const struct cvl_problem *host,
                                     const struct cvl_placement *placement, struct cvl_device_problem *problem)
{
    const struct cvl_placement by_device = { place_by_device, free_by_device, (void *)device };
    *problem = (struct cvl_device_problem){ .device = device, .host = host, .args = host->args, .quant = host->quant,
                                            .written = host->written, .placement = placement ? *placement : by_device };
    if (device->kind == CVL_CPU)
        return CVL_OK;
    const cvl_status status = copy_arrays(problem);
    if (status != CVL_OK) {
        cvl_device_problem_destroy(problem);
        return status;
    }
    problem->args.quant = host->args.quant ? &problem->quant : NULL;
    problem->written = cvl_conv_pointer(&problem->args, cvl_conv_written(host->desc.pass));
    return CVL_OK;
}

void cvl_device_problem_destroy(struct cvl_device_problem *problem)
{
    struct array arrays[ARRAYS];
    if (problem->device && problem->device->kind != CVL_CPU) {
        list_arrays(problem, arrays);
        for (int i = 0; i < ARRAYS; i++)
            if (*arrays[i].device)
                problem->placement.free(problem->placement.arg, *arrays[i].device);
    }
    *problem = (struct cvl_device_problem){ .device = NULL };
}

cvl_status cvl_device_problem_spoil(const struct cvl_device_problem *problem)
{
    const int byte = cvl_conv_is_integer(&problem->host->desc) ? 0xa5 : 0xff;
    return problem->device->fill(problem->device, problem->written, byte, problem->host->written_bytes);
}

cvl_status cvl_device_problem_fetch(const struct cvl_device_problem *problem)
{
    if (problem->device->kind == CVL_CPU)
        return CVL_OK;
    return problem->device->download(problem->device, problem->host->written, problem->written,
                                     problem->host->written_bytes);
}
