/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ctx.h"

#include "base/alloc.h"
#include "base/text.h"
#include "base/threads.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS_MAX 4096

const char *cvl_version(void)
{
    return CVL_VERSION;
}

void cvl_copy_sized(void *to, size_t to_size, const void *from, size_t from_size)
{
    const size_t size = from_size < to_size ? from_size : to_size;
    memcpy(to, from, size);
    memcpy(to, &to_size, sizeof to_size);
}

void cvl_ctx_options_init_size(cvl_ctx_options *options, size_t size)
{
    memset(options, 0, size);
    options->size = size;
}

static void log_to_stderr(void *arg, cvl_log_level level, const char *sentence)
{
    fprintf(stderr, "cvl: %s%s\n", level == CVL_LOG_WARNING ? "warning: " : "", sentence);
}

void cvl_log(const cvl_ctx *ctx, cvl_log_level level, const char *format, ...)
{
    char sentence[CVL_SENTENCE_MAX];
    va_list arguments;
    if (!ctx || !ctx->log)
        return;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    ctx->log(ctx->log_arg, level, sentence);
}

/* A word from the caller or the environment must be a level of this build; one above the machine's best is lowered to
 * it, so that a setting shared by many machines works on each. */
static cvl_status choose_isa(const char *word, const char *source, enum cvl_isa *isa)
{
    *isa = cvl_isa_best();
    if (!word || !*word)
        return CVL_OK;
    const int asked = cvl_isa_parse(word);
    if (asked < 0) {
        char known[128] = "";
        struct cvl_text text = { known, sizeof known, 0 };
        for (int i = 0; i < CVL_ISA_COUNT; i++)
            cvl_text_add(&text, "%s%s", i ? ", " : "", cvl_isa_name(i));
        return cvl_fail(CVL_EINVAL, "%s is '%s', expected one of %s", source, word, known);
    }
    if ((enum cvl_isa)asked < *isa)
        *isa = asked;
    return CVL_OK;
}

cvl_status cvl_ctx_create(const cvl_ctx_options *options, cvl_ctx **ctx)
{
    cvl_ctx_options all;
    cvl_ctx *made = NULL;
    *ctx = NULL;
    cvl_ctx_options_init(&all);
    if (options) {
        if (options->size < sizeof options->size || options->size > sizeof all)
            return cvl_fail(CVL_EINVAL, "cvl_ctx_options.size is %zu, expected what cvl_ctx_options_init sets",
                            options->size);
        cvl_copy_sized(&all, sizeof all, options, options->size);
    }
    if (all.threads < 0 || all.threads > THREADS_MAX)
        return cvl_fail(CVL_EINVAL, "threads is %d, expected 0 (all) to %d", all.threads, THREADS_MAX);
    made = cvl_calloc(1, sizeof *made);
    if (!made)
        return cvl_fail(CVL_ENOMEM, "no memory for a context");
    const char *word = all.isa ? all.isa : getenv("CVL_ISA");
    cvl_status status = choose_isa(word, all.isa ? "cvl_ctx_options.isa" : "CVL_ISA", &made->isa);
    if (status == CVL_OK)
        status = cvl_device_get(all.device, all.device_index, &made->device);
    if (status != CVL_OK) {
        cvl_free(made);
        return status;
    }
    made->stream = all.stream;
    made->threads = all.threads ? all.threads : cvl_threads_available();
    made->parallel_for = all.parallel_for;
    made->pool = all.pool;
    made->log = all.log ? all.log : getenv("CVL_VERBOSE") ? log_to_stderr : NULL;
    made->log_arg = all.log_arg;
    made->rates = cvl_rates_of(made);
    *ctx = made;
    return CVL_OK;
}

void cvl_ctx_destroy(cvl_ctx *ctx)
{
    cvl_free(ctx);
}

int cvl_ctx_threads(const cvl_ctx *ctx)
{
    return ctx->threads;
}

const char *cvl_ctx_isa(const cvl_ctx *ctx)
{
    return cvl_isa_name(ctx->isa);
}

void cvl_ctx_measure_rates(cvl_ctx *ctx)
{
    ctx->rates = cvl_rates_measure(ctx, 0.1, true);
}
