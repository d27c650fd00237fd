/* SPDX-License-Identifier: Apache-2.0 */
#include "conv/registry.h"

#include "base/text.h"
#include "conv/desc.h"
#include "cvl_algo_list.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#define DECLARE(id, name) extern const struct cvl_algo cvl_algo_##id;
#define ENTRY(id, name) &cvl_algo_##id,
#define NAME(id, name) " " name
CVL_ALGO_LIST(DECLARE)

const struct cvl_algo *const cvl_algos[] = { CVL_ALGO_LIST(ENTRY) NULL };

static const char known[] = CVL_ALGO_LIST(NAME);   /* for messages: " reference direct ..." */

const char *cvl_algo_name(int index)
{
    const int count = (int)(sizeof cvl_algos / sizeof *cvl_algos) - 1;
    return index >= 0 && index < count ? cvl_algos[index]->name : NULL;
}

const struct cvl_algo *cvl_algo_find(const char *name, size_t length)
{
    for (const struct cvl_algo *const *algo = cvl_algos; *algo; algo++)
        if (strlen((*algo)->name) == length && memcmp((*algo)->name, name, length) == 0)
            return *algo;
    return NULL;
}

const char *cvl_algo_refusal(const cvl_ctx *ctx, const struct cvl_algo *algo, const cvl_conv_desc *desc)
{
    static const char *const kinds[] = { [CVL_CPU] = "CPU", [CVL_CUDA] = "CUDA" };
    if (ctx->device->kind != algo->device)
        return cvl_reason("no %s device: the context is on the %s", kinds[algo->device], kinds[ctx->device->kind]);
    if (cvl_conv_is_blocked(desc) && !algo->blocked)
        return cvl_reason("x or y is nchw16c, and %s reads nchw and nhwc", algo->name);
    return algo->reject(ctx, desc);
}

int cvl_algo_most(const struct cvl_algo *algo)
{
    return algo->most ? algo->most : CVL_VARIANTS_USUAL;
}

/* By nominal rates: what was measured of a machine changes from run to run, and each would list other candidates. */
int cvl_algo_variants(const cvl_ctx *ctx, const struct cvl_algo *algo, const cvl_conv_desc *desc,
                      struct cvl_variant variants[CVL_VARIANTS_MAX])
{
    const int most = cvl_algo_most(algo);
    struct cvl_ctx nominal = *ctx;
    nominal.rates = cvl_rates_of(ctx);
    memset(variants, 0, (size_t)most * sizeof *variants);
    const int count = algo->variants ? algo->variants(&nominal, desc, variants, most) : 1;
    assert(count >= 1 && count <= most && most <= CVL_VARIANTS_MAX);
    return count;
}

/* NULL, with the problem completed and the algorithm found, or why this cannot run. */
static const char *resolve(const cvl_ctx *ctx, const char *name, const cvl_conv_desc *desc, cvl_conv_desc *complete,
                           const struct cvl_algo **algo)
{
    if (!ctx || !name)
        return cvl_reason("%s is NULL", ctx ? "algorithm" : "ctx");
    *algo = cvl_algo_find(name, strlen(name));
    if (!*algo)
        return cvl_reason("no algorithm is called '%.64s', expected one of%s", name, known);
    if (cvl_conv_desc_complete(desc, complete) != CVL_OK || cvl_conv_check(complete) != CVL_OK)
        return cvl_reason("%s", cvl_last_error());
    return cvl_algo_refusal(ctx, *algo, complete);
}

const char *cvl_algo_reject(const cvl_ctx *ctx, const char *algorithm, const cvl_conv_desc *desc)
{
    const struct cvl_algo *algo = NULL;
    cvl_conv_desc d;
    return resolve(ctx, algorithm, desc, &d, &algo);
}

int cvl_algo_candidates(const cvl_ctx *ctx, const char *algorithm, const cvl_conv_desc *desc,
                        char (*candidates)[CVL_CANDIDATE_MAX], int max)
{
    const struct cvl_algo *algo = NULL;
    struct cvl_variant variants[CVL_VARIANTS_MAX];
    cvl_conv_desc d;
    if (resolve(ctx, algorithm, desc, &d, &algo))
        return 0;
    int count = cvl_algo_variants(ctx, algo, &d, variants);
    if (count > max)
        count = max > 0 ? max : 0;
    for (int i = 0; i < count; i++)
        cvl_candidate_print(algo, &variants[i], candidates[i]);
    return count;
}

void cvl_candidate_print(const struct cvl_algo *algo, const struct cvl_variant *variant, char name[CVL_CANDIDATE_MAX])
{
    struct cvl_text text = { name, CVL_CANDIDATE_MAX, 0 };
    cvl_text_add(&text, "%s", algo->name);
    for (int i = 0; !algo->print_knobs && i < CVL_KNOBS_MAX && algo->knobs[i]; i++)
        if (variant->knob[i] != 0)
            cvl_text_add(&text, ":%s=%d", algo->knobs[i], variant->knob[i]);
    if (algo->print_knobs)
        algo->print_knobs(variant, &text);
    assert(text.used < text.size);
}

static cvl_status fail_knob(const char *name, const struct cvl_algo *algo, const char *knob, size_t length)
{
    char list[128] = "";
    struct cvl_text text = { list, sizeof list, 0 };
    for (int i = 0; i < CVL_KNOBS_MAX && algo->knobs[i]; i++)
        cvl_text_add(&text, "%s%s=NUMBER", i ? ", " : "", algo->knobs[i]);
    return cvl_fail(CVL_ENOTFOUND, "candidate '%.80s' has the knob '%.*s', expected %s, each once, NUMBER 1 to %d",
                    name, (int)(length < 64 ? length : 64), knob, algo->knobs[0] ? list : "none", INT_MAX);
}

static bool read_knob(const struct cvl_algo *algo, const char *knob, size_t length, struct cvl_variant *variant)
{
    const char *equals = memchr(knob, '=', length);
    const size_t word = equals ? (size_t)(equals - knob) : length;
    long long value;
    if (algo->read_knob)
        return algo->read_knob(knob, length, variant);
    for (int i = 0; i < CVL_KNOBS_MAX && algo->knobs[i]; i++)
        if (equals && strlen(algo->knobs[i]) == word && memcmp(algo->knobs[i], knob, word) == 0) {
            if (variant->knob[i] != 0 || !cvl_text_int(equals + 1, length - word - 1, 1, INT_MAX, &value))
                return false;
            variant->knob[i] = (int)value;
            return true;
        }
    return false;
}

cvl_status cvl_candidate_parse(const char *name, const struct cvl_algo **algo, struct cvl_variant *variant)
{
    struct cvl_variant v = { .knob = { 0 } };
    size_t length = strcspn(name, ":");
    const struct cvl_algo *found = cvl_algo_find(name, length);
    if (!found)
        return cvl_fail(CVL_ENOTFOUND, "no algorithm is called '%.*s', expected one of%s",
                        (int)(length < 64 ? length : 64), name, known);
    for (const char *knob = name; knob[length] == ':'; ) {
        knob += length + 1;
        length = strcspn(knob, ":");
        if (!read_knob(found, knob, length, &v))
            return fail_knob(name, found, knob, length);
    }
    *algo = found;
    *variant = v;
    return CVL_OK;
}
