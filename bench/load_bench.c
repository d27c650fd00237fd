/* SPDX-License-Identifier: Apache-2.0
 * What a large cache costs whoever opens it: time and memory for 100,000 records. Exits with 1 beyond 150 ms or 64
 * MB. */
#include "base/clock.h"
#include "base/ctx.h"
#include "tuner/store.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { RECORDS = 100000, CANDIDATES = 40, REPEATS = 5 };
#define MOST_MS 150.0
#define MOST_MB 64.0

static cvl_status add_record(struct cvl_line_set *set, int number)
{
    const int problem = number / CANDIDATES;
    char line[CVL_LINE_MAX];
    struct cvl_record record = {
        .environment = 0x5f23cf03e5d36621u, .revision = 2, .samples = 9, .median_ms = 0.5 + 1e-4 * (number % 977),
        .min_ms = 0.49, .ci_low_ms = 0.495, .ci_high_ms = 0.512, .estimate_ms = 0.61,
        .pack_ms = 0.12, .race = 1 + (uint64_t)problem,
        .ratio_low = 1.01, .ratio_high = 1.03, .rel_error = 2.1e-7, .l2_error = 1.3e-7, .workspace_bytes = 262144,
        .packed_bytes = 147456, .deterministic = true, .when = 1763900000 + number, .seed = 1,
        .command = "conv-bench --net resnet50",
    };
    snprintf(record.problem, sizeof record.problem, "fwd:f32:nhwc:n%dc%dh%dw56k64r3s3:pad1:const", 1 + problem % 8,
             8 * (1 + problem / 8 % 64), 7 + problem / 512);
    snprintf(record.candidate, sizeof record.candidate, "igemm:pixels=%d", 1 + number % CANDIDATES);
    const size_t length = cvl_record_print(&record, line);
    return cvl_line_set_add(set, line, length, NULL);
}

static cvl_status write_file(const char *path)
{
    struct cvl_line_set *set;
    cvl_status status = cvl_line_set_create(&set);
    for (int i = 0; i < RECORDS && status == CVL_OK; i++)
        status = add_record(set, i);
    if (status == CVL_OK)
        status = cvl_line_set_write(set, path);
    cvl_line_set_destroy(set);
    return status;
}

static double used_mb(void)
{
    const struct mallinfo2 info = mallinfo2();
    return (double)(info.uordblks + info.hblkhd) / 1e6;
}

/* The least of a few times, and what the last one holds. */
static cvl_status load(const cvl_ctx *ctx, const char *path, double *ms, double *mb)
{
    cvl_status status = CVL_OK;
    *ms = 1e9;
    for (int i = 0; i < REPEATS && status == CVL_OK; i++) {
        struct cvl_store *store;
        const double before = used_mb(), start = cvl_now();
        status = cvl_store_open(ctx, path, &store);
        if (status != CVL_OK)
            break;
        const double took = 1e3 * (cvl_now() - start);
        *ms = took < *ms ? took : *ms;
        *mb = used_mb() - before;
        const int count = cvl_line_set_count(cvl_store_lines(store));
        if (count != RECORDS)
            status = cvl_fail(CVL_ECORRUPT, "%d records are there, expected %d", count, RECORDS);
        cvl_store_close(store);
    }
    return status;
}

int main(void)
{
    char path[64];
    double ms, mb;
    cvl_ctx *ctx;
    snprintf(path, sizeof path, "/tmp/load-bench.%ld.cvl", (long)getpid());
    cvl_status status = cvl_ctx_create(NULL, &ctx);
    if (status == CVL_OK)
        status = write_file(path);
    if (status == CVL_OK)
        status = load(ctx, path, &ms, &mb);
    unlink(path);
    cvl_ctx_destroy(ctx);
    if (status != CVL_OK) {
        fprintf(stderr, "load-bench: %s\n", cvl_last_error());
        return 1;
    }
    printf("%d records: loaded in %.1f ms (at most %.0f), %.1f MB (at most %.0f)\n", RECORDS, ms, MOST_MS, mb, MOST_MB);
    return ms > MOST_MS || mb > MOST_MB;
}
