/* SPDX-License-Identifier: Apache-2.0
 * How long cvl_tuner_plan takes for a problem that the tuner knows: what an inference engine pays that asks every time.
 * A network's worth of problems, in turn, on one thread and on all of them at once. Exits with 1 when one thread takes
 * longer than 60 ns, or all of them together do less than 0.9 of what so many would. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/threads.h"
#include "cvl/tuner.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { PROBLEMS = 53, ROUNDS = 500, REPEATS = 100 };   /* 53: the convolutions of ResNet-50 */

#define MOST_NS 60.0
#define SCALES 0.9

static cvl_conv_desc problems[PROBLEMS];
static cvl_tuner *tuner;

static void *look_up(void *arg)
{
    size_t found = 0;
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < PROBLEMS; i++) {
            const cvl_plan *plan;
            found += cvl_tuner_plan(tuner, &problems[i], NULL, &plan) == CVL_OK;
        }
    *(size_t *)arg = found;
    return NULL;
}

/* Nanoseconds of one lookup as each thread sees it: the best of some repeats; negative when one failed. */
static double measure(int threads)
{
    pthread_t *handles = cvl_calloc((size_t)threads, sizeof *handles);
    size_t *found = cvl_calloc((size_t)threads, sizeof *found);
    double best = handles && found ? 1e9 : -1;
    for (int repeat = 0; repeat < REPEATS && best > 0; repeat++) {
        int started = 0;
        const double start = cvl_now();
        while (started < threads && pthread_create(&handles[started], NULL, look_up, &found[started]) == 0)
            started++;
        for (int i = 0; i < started; i++)
            pthread_join(handles[i], NULL);
        const double ns = (cvl_now() - start) * 1e9 / ((double)ROUNDS * PROBLEMS);
        for (int i = 0; i < threads; i++)
            if (i >= started || found[i] != (size_t)ROUNDS * PROBLEMS)
                best = -1;
        best = best > ns ? ns : best;
    }
    cvl_free(found);
    cvl_free(handles);
    return best;
}

static cvl_status make_problems(void)
{
    for (int i = 0; i < PROBLEMS; i++) {
        const cvl_plan *plan;
        cvl_conv_desc *desc = &problems[i];
        cvl_conv_desc_init(desc);
        desc->c = desc->k = 16 + 8 * (i % 7);
        desc->h = desc->w = 7 + i;
        desc->const_filter = true;
        const cvl_status status = cvl_tuner_plan(tuner, desc, NULL, &plan);
        if (status != CVL_OK)
            return status;
    }
    return CVL_OK;
}

int main(void)
{
    const int counts[] = { 1, cvl_threads_available() };
    double ns[2] = { 0, 0 };
    cvl_tuner_options options;
    cvl_ctx *ctx;
    bool failed;
    cvl_tuner_options_init(&options);
    options.mode = CVL_MODE_ESTIMATE;
    options.cache_path = "";
    failed = cvl_ctx_create(NULL, &ctx) != CVL_OK || cvl_tuner_open(ctx, &options, &tuner) != CVL_OK ||
             make_problems() != CVL_OK;
    for (int i = 0; i < 2 && !failed; i++) {
        ns[i] = measure(counts[i]);
        printf("%d thread%s: %.1f ns for each lookup of a known problem\n", counts[i], counts[i] == 1 ? "" : "s",
               ns[i]);
        failed = ns[i] < 0;
    }
    if (!failed && (ns[0] > MOST_NS || ns[0] < SCALES * ns[1])) {
        printf("expected at most %.0f ns, and %.1f of as many threads\n", MOST_NS, SCALES);
        failed = true;
        cvl_fail(CVL_EINVAL, "too slow");
    }
    if (failed)
        fprintf(stderr, "lookup-bench: %s\n", cvl_last_error());
    cvl_tuner_close(tuner);
    cvl_ctx_destroy(ctx);
    return failed;
}
