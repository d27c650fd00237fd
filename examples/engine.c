/* SPDX-License-Identifier: Apache-2.0
 * A small inference engine: engine [CACHE]. It opens a cache that was tuned elsewhere, plans each layer once, packs the
 * filters, and runs the network on several threads at once. Plans and packed filters are shared; each thread has one
 * workspace, as large as the largest layer needs, and two buffers for activations. Without the cache, or with one that
 * is stale or damaged, the choices are estimates: slower perhaps, and as right. */
#include <cvl/tuner.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LAYERS = 4, THREADS = 3, IMAGES = 5, ACTIVATIONS = 32 * 32 * 16 };

static const char *const texts[LAYERS] = {
    "fwd:f32:nhwc:n1c3h32w32k16r3s3:pad1:bias:relu:const",
    "fwd:f32:nhwc:n1c16h32w32k32r3s3:stride2:pad1:bias:relu:const",
    "fwd:f32:nhwc:n1c32h16w16k32r3s3:pad1:bias:relu:const", "fwd:f32:nhwc:n1c32h16w16k64r1s1:bias:const",
};

struct layer { cvl_conv_desc desc; const cvl_plan *plan; float *w, *bias; void *packed; };

static struct layer layers[LAYERS];
static size_t workspace_bytes;

static void *allocate(size_t bytes)   /* 64-byte aligned, zeroed; the end of the program frees it */
{
    void *memory = aligned_alloc(64, (bytes + 64) / 64 * 64);
    if (!memory)
        exit(fprintf(stderr, "engine: no memory\n"));
    return memset(memory, 0, (bytes + 64) / 64 * 64);
}

static void fill(float *values, size_t count, unsigned seed)
{
    for (size_t i = 0; i < count; i++, seed = seed * 1664525u + 1013904223u)
        values[i] = (float)(seed >> 8) / 8388608.0f - 1;
}

/* Where a choice came from is for people; an engine needs the plan alone. */
static cvl_status tell(cvl_tuner *tuner, const struct layer *layer)
{
    cvl_result results[256];
    int count;
    const cvl_status status = cvl_tuner_results(tuner, &layer->desc, NULL, results, 256, &count);
    for (int i = 0; status == CVL_OK && i < count && i < 256; i++)
        if (results[i].chosen)
            printf("%-24s %-9s %zu bytes of workspace\n", results[i].candidate, cvl_source_name(results[i].source),
                   results[i].workspace_bytes);
    return status;
}

static cvl_status load_layer(cvl_tuner *tuner, struct layer *layer, const char *text, unsigned seed)
{
    cvl_conv_args args;
    cvl_status status = cvl_conv_parse(text, &layer->desc);
    if (status == CVL_OK)
        status = cvl_tuner_plan(tuner, &layer->desc, NULL, &layer->plan);
    if (status != CVL_OK)
        return status;
    layer->w = allocate(cvl_conv_w_count(&layer->desc) * sizeof(float));
    layer->bias = allocate((size_t)layer->desc.k * sizeof(float));
    fill(layer->w, cvl_conv_w_count(&layer->desc), seed);
    fill(layer->bias, (size_t)layer->desc.k, seed + 1);
    if (cvl_plan_workspace_size(layer->plan) > workspace_bytes)
        workspace_bytes = cvl_plan_workspace_size(layer->plan);
    if (cvl_plan_packed_size(layer->plan) > 0) {
        cvl_conv_args_init(&args);
        args.w = layer->w;
        layer->packed = allocate(cvl_plan_packed_size(layer->plan));
        status = cvl_plan_pack(layer->plan, &args, layer->packed);
    }
    return status == CVL_OK ? tell(tuner, layer) : status;
}

/* Runs images through the network; *arg is the sum of the last outputs, or NaN after a failure. */
static void *infer(void *arg)
{
    float *buffers[2] = { allocate(ACTIVATIONS * sizeof(float)), allocate(ACTIVATIONS * sizeof(float)) };
    void *workspace = workspace_bytes ? allocate(workspace_bytes) : NULL;
    double sum = 0;
    for (int image = 0; image < IMAGES; image++) {
        fill(buffers[0], cvl_conv_x_count(&layers[0].desc), (unsigned)image);
        for (int i = 0; i < LAYERS; i++) {
            cvl_conv_args args;
            cvl_conv_args_init(&args);
            args.x = buffers[i % 2], args.y = buffers[(i + 1) % 2];
            args.w = layers[i].w, args.packed = layers[i].packed, args.bias = layers[i].bias;
            if (cvl_plan_run(layers[i].plan, &args, workspace) != CVL_OK) {
                fprintf(stderr, "engine: %s\n", cvl_last_error());
                sum = 0.0 / 0.0;
            }
        }
        for (size_t i = 0; i < cvl_conv_y_count(&layers[LAYERS - 1].desc); i++)
            sum += buffers[LAYERS % 2][i];
    }
    *(double *)arg = sum;
    free(buffers[0]), free(buffers[1]), free(workspace);
    return NULL;
}

int main(int argc, char **argv)
{
    cvl_ctx_options ctx_options;
    cvl_tuner_options options;
    cvl_ctx *ctx = NULL;
    cvl_tuner *tuner = NULL;
    pthread_t threads[THREADS];
    double sums[THREADS];
    int started = 0;
    cvl_ctx_options_init(&ctx_options);
    ctx_options.threads = 1;                    /* of one run; images run side by side */
    cvl_tuner_options_init(&options);           /* mode cached: never measures, unless CVL_MODE says otherwise */
    options.cache_path = argc > 1 ? argv[1] : NULL;
    cvl_status status = cvl_ctx_create(&ctx_options, &ctx);
    if (status == CVL_OK)
        status = cvl_tuner_open(ctx, &options, &tuner);
    for (int i = 0; status == CVL_OK && i < LAYERS; i++)
        status = load_layer(tuner, &layers[i], texts[i], 100u * (unsigned)i);
    if (status != CVL_OK)
        return fprintf(stderr, "engine: %s\n", cvl_last_error()), 1;

    while (started < THREADS && pthread_create(&threads[started], NULL, infer, &sums[started]) == 0)
        started++;
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < started; i++)
        if (sums[i] != sums[0])                 /* one plan gives the same bits on every thread; a NaN differs too */
            return fprintf(stderr, "engine: thread %d disagrees\n", i), 1;
    printf("%d threads, %d images each: %.6g\n", started, IMAGES, sums[0]);
    for (int i = 0; i < LAYERS; i++)
        free(layers[i].w), free(layers[i].bias), free(layers[i].packed);
    cvl_tuner_close(tuner);
    cvl_ctx_destroy(ctx);
    return started == 0;
}
