/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/constants.h"

#include <time.h>
#include "tuner/environment.h"
#include "tuner/store.h"

static cvl_status add(struct cvl_store *store, const cvl_ctx *ctx, const struct cvl_rates *rates)
{
    const struct cvl_environment here = cvl_environment_of(ctx);
    const struct cvl_rates kept = {
        .f32_flops = cvl_record_round(rates->f32_flops), .s8_ops = cvl_record_round(rates->s8_ops),
        .copy_l2 = cvl_record_round(rates->copy_l2), .copy_l3 = cvl_record_round(rates->copy_l3),
        .copy_dram = cvl_record_round(rates->copy_dram), .measured = true,
    };
    char line[CVL_LINE_MAX];
    size_t length = cvl_environment_print(&here, line);
    cvl_status status = length ? cvl_store_add(store, line, length) : CVL_OK;
    length = cvl_rates_print(cvl_environment_id(&here), &kept, (int64_t)time(NULL), line);
    if (status == CVL_OK && length)
        status = cvl_store_add(store, line, length);
    return status == CVL_OK ? cvl_store_sync(store) : status;
}

cvl_status constants_store(const cvl_ctx *ctx, const char *path, const struct cvl_rates *rates)
{
    struct cvl_store *store;
    cvl_status status = cvl_store_open(ctx, path, &store);
    if (status != CVL_OK)
        return status;
    status = add(store, ctx, rates);
    cvl_store_close(store);
    return status;
}

void constants_ensure(cvl_ctx *ctx, const char *path)
{
    const struct cvl_environment here = cvl_environment_of(ctx);
    struct cvl_rates rates = ctx->rates;
    struct cvl_store *store;
    if (cvl_store_open(NULL, path, &store) != CVL_OK)   /* the tuner has told what is wrong with it */
        return;
    if (*cvl_store_path(store) && !cvl_line_set_rates(cvl_store_lines(store), cvl_environment_id(&here), &rates)) {
        cvl_ctx_measure_rates(ctx);
        add(store, ctx, &ctx->rates);
    }
    cvl_store_close(store);
}
