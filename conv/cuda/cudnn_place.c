/* SPDX-License-Identifier: Apache-2.0 */
#include "conv/cuda/cudnn_place.h"

#include "base/error.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>

#define PLACES_MAX 64
#define IDLE_MAX 64                 /* handles that are kept: more than threads that run at once */
#define REMEMBERED 16

static struct place {
    const struct cvl_device *device;
    struct cvl_cudnn_target  target;     /* for planning */
    cudnnHandle_t            idle[IDLE_MAX];
    int                      idle_count;
} places[PLACES_MAX];

static struct memory {
    const struct cvl_device *device;     /* NULL: empty */
    struct cvl_conv_key      key;
    cvl_status               status;
    char                     why[CVL_SENTENCE_MAX];
    struct cvl_cudnn_choices choices;
    uint64_t                 used;
} memories[REMEMBERED];

static uint64_t uses;
/* cuDNN plans for one handle on one thread at a time; the second is for what runs take. */
static pthread_mutex_t planning = PTHREAD_MUTEX_INITIALIZER, handles = PTHREAD_MUTEX_INITIALIZER;

static struct place *place_of(const struct cvl_device *device)
{
    struct place *place = NULL;
    pthread_mutex_lock(&handles);
    for (int i = 0; i < PLACES_MAX && !place; i++)
        if (!places[i].device || places[i].device == device) {
            place = &places[i];
            place->device = device;
        }
    pthread_mutex_unlock(&handles);
    return place;
}

/* With `planning` held. */
static cvl_status target_of(const struct cvl_device *device, const struct cvl_cudnn_target **target)
{
    struct place *place = place_of(device);
    cvl_status status = CVL_OK;
    if (!cvl_cudnn())
        return cvl_fail(CVL_EUNSUP, "%s", cvl_cudnn_lacks());
    if (!place)
        return cvl_fail(CVL_EUNSUP, "cuDNN is kept for %d devices, and this is one more", PLACES_MAX);
    if (!place->target.handle && !place->target.properties)
        status = device->description ? cvl_cudnn_target_described(device->description, &place->target)
               : cvl_cudnn_check(cvl_cudnn()->cudnnCreate(&place->target.handle), "starting");
    *target = &place->target;
    return status;
}

/* The one of this problem, or the one that was used longest ago, emptied. */
static struct memory *recall(const struct cvl_device *device, const struct cvl_conv_key *key)
{
    struct memory *oldest = memories;
    for (int i = 0; i < REMEMBERED; i++) {
        if (memories[i].device == device && cvl_conv_key_equal(&memories[i].key, key))
            return &memories[i];
        if (memories[i].used < oldest->used)
            oldest = &memories[i];
    }
    memset(oldest, 0, sizeof *oldest);
    return oldest;
}

static void learn(struct memory *memory, const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_conv_key *key)
{
    const struct cvl_cudnn_target *target;
    memory->device = ctx->device;
    memory->key = *key;
    memory->status = target_of(ctx->device, &target);
    if (memory->status == CVL_OK)
        memory->status = cvl_cudnn_choices_make(target, desc, &memory->choices);
    if (memory->status != CVL_OK)
        memcpy(memory->why, cvl_last_error(), strnlen(cvl_last_error(), sizeof memory->why - 1));
}

cvl_status cvl_cudnn_choices(const cvl_ctx *ctx, const cvl_conv_desc *desc, struct cvl_cudnn_choices *choices)
{
    struct cvl_conv_key key;
    cvl_conv_key_of(desc, &key);
    pthread_mutex_lock(&planning);
    struct memory *memory = recall(ctx->device, &key);
    if (!memory->device) {
        const int before = ctx->device->enter ? ctx->device->enter(ctx->device) : -1;
        learn(memory, ctx, desc, &key);
        if (ctx->device->leave)
            ctx->device->leave(before);
    }
    memory->used = ++uses;
    *choices = memory->choices;
    const cvl_status status = memory->status == CVL_OK ? CVL_OK : cvl_fail(memory->status, "%s", memory->why);
    pthread_mutex_unlock(&planning);
    return status;
}

cvl_status cvl_cudnn_plan_here(const cvl_ctx *ctx, const cvl_conv_desc *desc, const struct cvl_variant *variant,
                               struct cvl_cudnn_plan *plan)
{
    const struct cvl_cudnn_target *target;
    pthread_mutex_lock(&planning);
    cvl_status status = target_of(ctx->device, &target);
    if (status == CVL_OK)
        status = cvl_cudnn_plan_create(target, desc, variant, plan);
    pthread_mutex_unlock(&planning);
    return status;
}

cvl_status cvl_cudnn_handle_take(const cvl_ctx *ctx, cudnnHandle_t *handle)
{
    struct place *place = place_of(ctx->device);
    *handle = NULL;
    if (ctx->device->description)
        return cvl_fail(CVL_EDEVICE, "%s is only described, and nothing runs on it", ctx->device->name);
    pthread_mutex_lock(&handles);
    if (place && place->idle_count > 0)
        *handle = place->idle[--place->idle_count];
    pthread_mutex_unlock(&handles);
    return *handle ? CVL_OK : cvl_cudnn_check(cvl_cudnn()->cudnnCreate(handle), "making a handle");
}

void cvl_cudnn_handle_give(const cvl_ctx *ctx, cudnnHandle_t handle)
{
    struct place *place = place_of(ctx->device);
    pthread_mutex_lock(&handles);
    const bool kept = place && place->idle_count < IDLE_MAX;
    if (kept)
        place->idle[place->idle_count++] = handle;
    pthread_mutex_unlock(&handles);
    if (!kept)
        cvl_cudnn()->cudnnDestroy(handle);
}
