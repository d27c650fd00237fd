/* SPDX-License-Identifier: Apache-2.0 */
#include <cvl/tuner.h>
#include <stdio.h>
#include <stdlib.h>

static float x[64 * 56 * 56], w[64 * 64 * 3 * 3], bias[64], y[64 * 56 * 56];

int main(void)
{
    cvl_ctx *ctx = NULL;
    cvl_tuner *tuner = NULL;
    const cvl_plan *plan;                /* shared: the tuner owns it */
    cvl_conv_desc desc;
    cvl_conv_args args;
    cvl_conv_args_init(&args);
    args.x = x, args.w = w, args.bias = bias, args.y = y;

    if (cvl_conv_parse("fwd:f32:nhwc:n1c64h56w56k64r3s3:pad1:bias:relu", &desc) || cvl_ctx_create(NULL, &ctx)
        || cvl_tuner_open(ctx, NULL, &tuner) || cvl_tuner_plan(tuner, &desc, NULL, &plan))
        return fprintf(stderr, "%s\n", cvl_last_error()), 1;

    const size_t bytes = (cvl_plan_workspace_size(plan) + 63) / 64 * 64;
    void *workspace = bytes ? aligned_alloc(64, bytes) : NULL;
    const cvl_status status = cvl_plan_run(plan, &args, workspace);
    printf("%s: %s\n", cvl_plan_candidate(plan), status ? cvl_last_error() : "done");

    free(workspace);
    cvl_tuner_close(tuner);
    cvl_ctx_destroy(ctx);
    return status != CVL_OK;
}
