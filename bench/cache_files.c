/* SPDX-License-Identifier: Apache-2.0
 * Caches as files: comparing them, putting them together, taking them with you. */
#include "bench/cache_job.h"

#include <stdio.h>
#include <sys/stat.h>
#include "bench/nets.h"
#include "tuner/segments.h"

/* A file or a cache directory. What cannot be read is bad input, and so is what holds nothing of a cache. */
static cvl_status load(struct job *job, const char *path, struct cvl_line_set **set)
{
    struct cvl_read_report report = { .lines = 0 };
    struct stat at;
    if (!*set && cvl_line_set_create(set) != CVL_OK)
        return CVL_ENOMEM;
    const bool directory = stat(path, &at) == 0 && S_ISDIR(at.st_mode);
    const cvl_status status = directory ? cvl_segments_read(job->ctx, path, *set, NULL, NULL)
                                        : cvl_line_set_read(*set, path, &report);
    if (status != CVL_OK || directory)
        return status;
    if (!report.has_schema && report.lines > 0 && report.lines == report.bad)
        return cvl_fail(CVL_ECORRUPT, "%s, expected a cache file", report.why);
    if (report.why[0])
        cache_log(NULL, CVL_LOG_WARNING, report.why);
    return CVL_OK;
}

static int load_all(struct job *job)
{
    for (int i = 0; i < job->count; i++)
        if (load(job, job->operands[i], &job->set) != CVL_OK)
            return cache_refuse();
    return OPTIONS_RUN;
}

int cache_diff_files(struct job *job)
{
    if (load(job, job->operands[0], &job->set) != CVL_OK || load(job, job->operands[1], &job->other) != CVL_OK)
        return cache_refuse();
    return cache_end(cache_diff(job->set, job->other));
}

/* The lines of one network's shapes, and the environments that they refer to. */
struct extraction {
    const struct layer_list *layers;
    struct cvl_line_set     *to;
    cvl_status               status;
};

static bool same_shape(const cvl_conv_desc *a, const cvl_conv_desc *b)
{
    return a->c == b->c && a->h == b->h && a->w == b->w && a->k == b->k && a->r == b->r && a->s == b->s &&
           a->stride_h == b->stride_h && a->stride_w == b->stride_w && a->dil_h == b->dil_h && a->dil_w == b->dil_w &&
           a->pad_top == b->pad_top && a->pad_bottom == b->pad_bottom && a->pad_left == b->pad_left &&
           a->pad_right == b->pad_right && a->groups == b->groups;
}

static bool is_wanted(const struct layer_list *layers, const char *line, size_t length)
{
    struct cvl_record record;
    cvl_conv_desc desc;
    if (cvl_record_parse(line, length, &record) != CVL_OK || cvl_conv_parse(record.problem, &desc) != CVL_OK)
        return false;
    for (int i = 0; i < layers->count; i++)
        if (same_shape(&layers->at[i].desc, &desc))
            return true;
    return false;
}

static bool extract(void *arg, enum cvl_line_kind kind, const char *line, size_t length)
{
    struct extraction *extraction = arg;
    if (kind == CVL_LINE_ENV || (kind == CVL_LINE_REC && is_wanted(extraction->layers, line, length)))
        extraction->status = cvl_line_set_add(extraction->to, line, length, NULL);
    return extraction->status == CVL_OK;
}

static int export_net(struct job *job)
{
    struct layer_list layers = { 0 };
    struct extraction extraction = { .layers = &layers };
    cvl_status status = net_read(job->config->net, &layers);
    if (status != CVL_OK)
        return cache_refuse();
    status = cvl_line_set_create(&job->set);
    extraction.to = job->set;
    if (status == CVL_OK)
        status = cvl_line_set_each(cvl_store_lines(job->store), false, extract, &extraction);
    layer_list_free(&layers);
    status = status == CVL_OK ? extraction.status : status;
    return cache_end(status == CVL_OK ? cvl_line_set_write(job->set, job->operands[0]) : status);
}

int cache_export(struct job *job)
{
    const int status = cache_open(job, false);
    if (status != OPTIONS_RUN)
        return status;
    if (job->config->net)
        return export_net(job);
    return cache_end(cvl_line_set_write(cvl_store_lines(job->store), job->operands[0]));
}

static bool add_to_store(void *arg, enum cvl_line_kind kind, const char *line, size_t length)
{
    return cvl_store_add(arg, line, length) == CVL_OK;
}

int cache_import(struct job *job)
{
    int status = load_all(job);
    if (status == OPTIONS_RUN)
        status = cache_open(job, true);
    if (status != OPTIONS_RUN)
        return status;
    const int before = cvl_line_set_count(cvl_store_lines(job->store));
    cvl_status added = cvl_line_set_each(job->set, false, add_to_store, job->store);
    if (added == CVL_OK)
        added = cvl_store_sync(job->store);
    if (added == CVL_OK)
        printf("%d of %d lines are new in %s\n", cvl_line_set_count(cvl_store_lines(job->store)) - before,
               cvl_line_set_count(job->set), cvl_store_path(job->store));
    return cache_end(added);
}

int cache_merge(struct job *job)
{
    if (!job->config->output)
        return options_refuse(&conv_cache_program, "merge needs -o OUT, the file to write");
    const int status = load_all(job);
    return status == OPTIONS_RUN ? cache_end(cvl_line_set_write(job->set, job->config->output)) : status;
}
