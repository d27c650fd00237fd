/* SPDX-License-Identifier: Apache-2.0
 * The oracle as an algorithm: every written element from the formula of the pass (oracle.c), in double, rounded once.
 *     y[n,k,p,q] = act(sum over c',r,s of x[n,c,h,w] * w[k,c',r,s] + bias[k] + residual[n,k,p,q])
 * It takes every problem that cvl_conv_check accepts, with no workspace and the multiplications of direct convolution.
 * It is what the others are held against and the last resort where none of them fits; it loses to all of them in
 * speed, by a factor of a hundred or more: one product at a time, and no element of the input is ever reused. */
#include "conv/algo.h"
#include "conv/reference/oracle.h"

#include "base/dtype.h"
#include "base/threads.h"

enum { BLOCK = 64 };   /* elements a task computes; all are read, the residual too, before the first is stored */

#define PRODUCTS_PER_SECOND 2e8   /* of one thread */

static const char *reject(const cvl_ctx *ctx, const cvl_conv_desc *desc)
{
    return NULL;
}

static double estimate(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    return cvl_conv_flops(desc) / (2 * PRODUCTS_PER_SECOND * ctx->threads);
}

/* Half of the last place: one rounding is all that happens. */
static double tolerance(const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    static const double roundings[] = {[CVL_F32] = 0x1p-24, [CVL_BF16] = 0x1p-8, [CVL_F16] = 0x1p-11,
                                       [CVL_S8] = 0, [CVL_U8] = 0, [CVL_S32] = 0};
    return roundings[cvl_conv_type(desc, cvl_conv_written(desc->pass))];
}

static cvl_status init(cvl_plan *plan)
{
    return CVL_OK;
}

struct job {
    const cvl_conv_desc *desc;
    const cvl_conv_args *args;
    enum cvl_tensor      written;
    size_t               count;
};

static void block(int task, int slot, void *arg)
{
    const struct job *job = arg;
    const size_t first = (size_t)task * BLOCK, count = job->count - first < BLOCK ? job->count - first : BLOCK;
    double values[BLOCK];
    cvl_oracle_range(job->desc, job->args, first, count, values);
    for (size_t i = 0; i < count; i++)
        cvl_dtype_store(cvl_conv_type(job->desc, job->written), cvl_conv_pointer(job->args, job->written), first + i,
                        values[i]);
}

static cvl_status run(const cvl_plan *plan, const cvl_conv_args *args, void *workspace)
{
    const enum cvl_tensor written = cvl_conv_written(plan->desc.pass);
    struct job job = {&plan->desc, args, written, cvl_conv_count(&plan->desc, written)};
    cvl_parallel_for(plan->ctx, (int)((job.count + BLOCK - 1) / BLOCK), block, &job);
    return CVL_OK;
}

extern const struct cvl_algo cvl_algo_reference;
const struct cvl_algo cvl_algo_reference = {
    .name = "reference", .revision = 1, .device = CVL_CPU,
    .blocked = true, .reject = reject, .estimate = estimate, .tolerance = tolerance, .init = init, .run = run,
};
