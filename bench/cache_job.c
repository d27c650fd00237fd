/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/cache_job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void cache_log(void *arg, cvl_log_level level, const char *sentence)
{
    if (level == CVL_LOG_WARNING)
        fprintf(stderr, "conv-cache: %s\n", sentence);
}

int cache_refuse(void)
{
    return options_refuse(&conv_cache_program, NULL);
}

int cache_end(cvl_status status)
{
    if (status == CVL_OK)
        return EXIT_SUCCESS;
    options_refuse(&conv_cache_program, NULL);
    return status == CVL_EIO ? EXIT_NOT_STORED : EXIT_BAD_USAGE;
}

int cache_open(struct job *job, bool fresh)
{
    if (cvl_store_open(job->ctx, job->config->cache, &job->store) != CVL_OK)
        return cache_refuse();
    const char *path = cvl_store_path(job->store);
    if (!fresh && access(path, R_OK) != 0) {
        cvl_fail(CVL_EIO, "%s: %s, expected a cache", *path ? path : "--cache ''", strerror(errno));
        return cache_refuse();
    }
    return OPTIONS_RUN;
}

int cache_take_problems(struct job *job)
{
    for (int i = 0; i < job->count; i++) {
        cvl_conv_desc desc;
        static char text[CVL_CONV_TEXT_MAX];
        if (cvl_conv_parse(job->operands[i], &desc) != CVL_OK)
            return cache_refuse();
        cvl_conv_print(&desc, text, sizeof text);
        job->operands[i] = strdup(text);
        if (!job->operands[i]) {
            cvl_fail(CVL_ENOMEM, "no memory for %s", text);
            return cache_refuse();
        }
        job->filter.count = i + 1;
    }
    job->filter.problem = (const char *const *)job->operands;
    return OPTIONS_RUN;
}
