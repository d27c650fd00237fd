/* SPDX-License-Identifier: Apache-2.0 */
#include "tuner/environment.h"

#include "base/text.h"
#include "conv/registry.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

/* The version alone of "cuDNN 9.19.0". */
static void describe_gpu(const struct cvl_device *device, struct cvl_environment *environment)
{
    const struct cvl_algo *cudnn = cvl_algo_find("cudnn", strlen("cudnn"));
    const char *version = cudnn ? strchr(cudnn->version(), ' ') : NULL;
    snprintf(environment->gpu, sizeof environment->gpu, "%s", device->model);
    snprintf(environment->cudnn, sizeof environment->cudnn, "%.15s", version ? version + 1 : "");
    snprintf(environment->driver, sizeof environment->driver, "CUDA %.10s, runtime %.6s", device->driver,
             device->runtime);
    environment->capability = device->capability;
    environment->multiprocessors = device->multiprocessors;
    environment->gpu_l2 = device->l2_bytes;
}

struct cvl_environment cvl_environment_of(const cvl_ctx *ctx)
{
    const struct cvl_cpu *cpu = cvl_cpu_info();
    struct cvl_environment environment = { .threads = ctx->threads, .l1d = cpu->l1d, .l2 = cpu->l2, .l3 = cpu->l3 };
    snprintf(environment.cpu, sizeof environment.cpu, "%s", cpu->model);
    snprintf(environment.isa, sizeof environment.isa, "%s", cvl_isa_name(ctx->isa));
    snprintf(environment.compiler, sizeof environment.compiler, "%.*s", (int)strcspn(COMPILER, "("), COMPILER);
    struct cvl_text library = { environment.library, sizeof environment.library, 0 };
    cvl_text_add(&library, "convlab %s", cvl_version());
    for (const struct cvl_algo *const *algo = cvl_algos; *algo; algo++)
        if ((*algo)->version && !(*algo)->peer && (*algo)->device == ctx->device->kind)
            cvl_text_add(&library, ", %s", (*algo)->version());
    if (ctx->device->kind == CVL_CUDA)
        describe_gpu(ctx->device, &environment);
    return environment;
}

double cvl_environment_distance(const struct cvl_environment *a, const struct cvl_environment *b)
{
    const double threads = fabs(log2((double)(a->threads > 0 ? a->threads : 1)) -
                                log2((double)(b->threads > 0 ? b->threads : 1)));
    return 10000 * (strcmp(a->gpu, b->gpu) != 0) + 1000 * (strcmp(a->cpu, b->cpu) != 0) +
           100 * (strcmp(a->isa, b->isa) != 0) + 50 * (strcmp(a->cudnn, b->cudnn) != 0) + threads;
}

void cvl_environment_describe(const struct cvl_environment *e, char *text, size_t size)
{
    snprintf(text, size, "%s%s%s, %s, %d thread%s", e->cpu, *e->gpu ? " with " : "", e->gpu, e->isa, e->threads,
             e->threads == 1 ? "" : "s");
}

struct strangers {
    const struct cvl_environment *here;
    struct cvl_environment        one;
    int                           count;
    bool                          at_home;
};

static bool see(void *arg, enum cvl_line_kind kind, const char *line, size_t length)
{
    struct strangers *strangers = arg;
    struct cvl_environment environment;
    if (kind != CVL_LINE_ENV || cvl_environment_parse(line, length, &environment, NULL) != CVL_OK)
        return true;
    strangers->at_home = strcmp(environment.cpu, strangers->here->cpu) == 0;
    if (strangers->count++ == 0)
        strangers->one = environment;
    return !strangers->at_home;
}

void cvl_environment_warn(const cvl_ctx *ctx, const struct cvl_environment *here, const struct cvl_line_set *lines,
                          const char *path)
{
    struct strangers strangers = { .here = here };
    char where[256];
    if (cvl_line_set_each(lines, true, see, &strangers) != CVL_OK || strangers.at_home || strangers.count == 0)
        return;
    cvl_environment_describe(&strangers.one, where, sizeof where);
    cvl_log(ctx, CVL_LOG_WARNING, "%s: all that it holds was measured on other machines, such as %s: a prior at most", path,
            where);
}
