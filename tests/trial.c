/* SPDX-License-Identifier: Apache-2.0 */
#include "trial.h"

#include "base/dtype.h"
#include "conv/reference/oracle.h"

#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what is printed ---- */

static char doing[CVL_CONV_TEXT_MAX + 256];     /* for the handler of the signal that a guard page raises */

static void on_signal(int number)
{
    static const char what[] = "FAILED  touched memory that is not its own, or crashed: ";
    ssize_t written = write(STDOUT_FILENO, what, sizeof what - 1);
    written += write(STDOUT_FILENO, doing, strlen(doing));
    written += write(STDOUT_FILENO, "\n", 1);
    _exit(written > 0 ? 1 : 2);
}

static const char *name_of(const struct trial *trial)
{
    return *trial->candidate ? trial->candidate : trial->algo ? trial->algo->name : "no candidate";
}

void trial_fail(const struct trial *trial, const char *how, const char *format, ...)
{
    enum { LINES_MAX = 100 };
    static const char *const fills[] = { "", ", denormals", ", infinities", ", NaNs" };
    va_list arguments;
    if (trial->harness->failures++ >= LINES_MAX)
        return;
    printf("FAILED  %s, %s filter, %s%s: %s: ", name_of(trial), trial->packed[0] ? "packed" : "raw", how,
           fills[trial->fill], trial->text);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    fflush(stdout);
}

void trial_announce(const struct trial *trial, const char *how)
{
    snprintf(doing, sizeof doing, "%s, %s filter, %s: %s", name_of(trial), trial->packed[0] ? "packed" : "raw", how,
             trial->text);
}

void trial_catch_signals(void)
{
    static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], on_signal);
}

/* ---- data ---- */

static void *place(void *arg, size_t bytes, size_t element)
{
    const enum guard_side *side = arg;
    return guard_alloc(*side, bytes, element);
}

static void unplace(void *arg, void *memory)
{
    guard_free(memory);
}

/* On a GPU nothing can be frozen: that what is read is still the same is seen at the end. */
struct device_place { const struct cvl_device *device; enum guard_side side; };

static void *place_on_device(void *arg, size_t bytes, size_t element)
{
    const struct device_place *to = arg;
    return device_guard_alloc(to->device, to->side, bytes, element);
}

static void unplace_from_device(void *arg, void *memory)
{
    const struct device_place *from = arg;
    device_guard_free(from->device, memory);
}

/* At the corners of the tensor, where padding is near, and somewhere in it. */
static void plant(const cvl_conv_desc *desc, enum cvl_tensor tensor, void *memory, double value)
{
    const size_t count = cvl_conv_count(desc, tensor), at[] = { 0, count / 3, count - 1 };
    for (int i = 0; i < 3 && count > 0; i++)
        if (!cvl_conv_is_padding(desc, tensor, at[i]))
            cvl_dtype_store(cvl_conv_type(desc, tensor), memory, at[i], i == 1 ? -value : value);
}

static void fill_largest(struct cvl_problem *problem)
{
    for (enum cvl_tensor tensor = CVL_X; tensor <= CVL_Y; tensor++) {
        const cvl_dtype type = cvl_conv_type(&problem->desc, tensor);
        const size_t count = cvl_conv_count(&problem->desc, tensor);
        for (size_t i = 0; tensor != cvl_conv_written(problem->desc.pass) && i < count; i++)
            if (!cvl_conv_is_padding(&problem->desc, tensor, i))
                cvl_dtype_store(type, cvl_conv_pointer(&problem->args, tensor), i, type == CVL_U8 ? 255 : -128);
    }
}

static void apply_fill(struct cvl_problem *problem, enum fill fill)
{
    const enum cvl_tensor tensor = problem->desc.pass == CVL_BWD_DATA ? CVL_Y : CVL_X;
    const cvl_dtype type = cvl_conv_type(&problem->desc, tensor);
    const size_t count = cvl_conv_count(&problem->desc, tensor);
    void *memory = cvl_conv_pointer(&problem->args, tensor);
    if (fill == FILL_LARGEST)
        fill_largest(problem);
    if (fill == FILL_INFINITE || fill == FILL_NAN)
        plant(&problem->desc, tensor, memory, fill == FILL_NAN ? NAN : INFINITY);
    for (size_t i = 0; fill == FILL_DENORMAL && i < count; i++)
        cvl_dtype_store(type, memory, i, cvl_dtype_load(type, memory, i) * 0x1p-130);
}

/* Nothing that a run only reads may be written. */
static void freeze_inputs(const struct cvl_problem *problem)
{
    const void *const read[] = { problem->args.x, problem->args.w, problem->args.y, problem->args.bias,
                                 problem->args.residual, problem->quant.w_scale, problem->quant.w_zero };
    for (size_t i = 0; i < sizeof read / sizeof *read; i++)
        if (read[i] && read[i] != problem->written)
            guard_freeze((void *)read[i]);
}

static uint64_t seed_of(const char *text)
{
    return cvl_hash_bytes(text, strlen(text));   /* so that the text alone brings a failure back */
}

static bool prepare(struct trial *trial)
{
    static enum guard_side sides[GUARD_SIDES] = { GUARD_END, GUARD_START };
    static struct device_place places[GUARD_SIDES];
    for (int side = 0; side < GUARD_SIDES; side++) {
        const struct cvl_placement placement = { place, unplace, &sides[side] };
        if (cvl_problem_create(&trial->desc, seed_of(trial->text), &placement, &trial->problem[side]) != CVL_OK) {
            trial_fail(trial, "preparing", "%s", cvl_last_error());
            return false;
        }
        apply_fill(&trial->problem[side], trial->fill);
        freeze_inputs(&trial->problem[side]);
        places[side] = (struct device_place){ trial->harness->device, (enum guard_side)side };
        const struct cvl_placement there = { place_on_device, unplace_from_device, &places[side] };
        if (cvl_device_problem_create(trial->harness->device, &trial->problem[side], &there, &trial->on_device[side])
            != CVL_OK) {
            trial_fail(trial, "preparing", "%s", cvl_last_error());
            return false;
        }
    }
    trial->count = cvl_conv_count(&trial->desc, cvl_conv_written(trial->desc.pass));
    trial->want = malloc((trial->count + 1) * sizeof *trial->want);
    trial->first = malloc(trial->problem[0].written_bytes + 1);
    cvl_oracle_values(trial->harness->ctx[HARNESS_PARALLEL], &trial->desc, &trial->problem[0].args, NULL, trial->count,
                      trial->want);
    return true;
}

/* The problem is valid, and its text says all of it. */
static bool check_text(struct trial *trial)
{
    struct cvl_conv_key key, parsed_key;
    cvl_conv_desc parsed;
    const int length = cvl_conv_print(&trial->desc, trial->text, sizeof trial->text);
    if (length <= 0 || length >= CVL_CONV_TEXT_MAX || cvl_conv_check(&trial->desc) != CVL_OK
        || cvl_conv_parse(trial->text, &parsed) != CVL_OK) {
        trial_fail(trial, "check and parse", "%s", cvl_last_error());
        return false;
    }
    cvl_conv_key_of(&trial->desc, &key);
    cvl_conv_key_of(&parsed, &parsed_key);
    if (!cvl_conv_key_equal(&key, &parsed_key))
        trial_fail(trial, "check and parse", "parsing its text gives another problem");
    return true;
}

static bool holds(const cvl_conv_desc *desc, enum fill fill)
{
    if (fill == FILL_DENORMAL)
        return cvl_conv_is_f32(desc);
    return fill == FILL_PLAIN || (fill == FILL_LARGEST) == cvl_conv_is_integer(desc);
}

bool trial_create(struct trial *trial, struct harness *harness, const cvl_conv_desc *desc, enum fill fill)
{
    *trial = (struct trial){ .harness = harness, .fill = fill, .desc = *desc };
    if (fill == FILL_DENORMAL)   /* in a bias a denormal sum would be lost */
        trial->desc.epi = (cvl_epilogue){ .act = CVL_ACT_NONE };
    return holds(desc, fill) && check_text(trial) && prepare(trial);
}

/* Compares what a GPU has of one tensor with the host's. */
static bool is_untouched(const struct cvl_device *device, const void *host, const void *there, size_t bytes)
{
    void *back = malloc(bytes + 1);
    const bool same = back && device->download(device, back, there, bytes) == CVL_OK && memcmp(back, host, bytes) == 0;
    free(back);
    return same;
}

static void check_inputs(const struct trial *trial, int side)
{
    const struct cvl_problem *problem = &trial->problem[side];
    const struct cvl_device_problem *on_device = &trial->on_device[side];
    if (!on_device->device || on_device->device->kind == CVL_CPU)
        return;
    for (enum cvl_tensor tensor = CVL_X; tensor <= CVL_Y; tensor++) {
        const void *there = cvl_conv_pointer(&on_device->args, tensor);
        if (tensor != cvl_conv_written(problem->desc.pass)
            && !is_untouched(on_device->device, cvl_conv_pointer(&problem->args, tensor), there,
                             cvl_conv_bytes(&problem->desc, tensor)))
            trial_fail(trial, "inputs", "tensor %d was written, which the pass only reads", (int)tensor);
        if (!device_guard_intact(on_device->device, there))
            trial_fail(trial, "inputs", "something wrote beside tensor %d", (int)tensor);
    }
}

void trial_destroy(struct trial *trial)
{
    for (int side = 0; side < GUARD_SIDES; side++) {
        check_inputs(trial, side);
        cvl_device_problem_destroy(&trial->on_device[side]);
        cvl_problem_destroy(&trial->problem[side]);
    }
    free(trial->want);
    free(trial->first);
}
