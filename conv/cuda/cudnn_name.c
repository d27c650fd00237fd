/* SPDX-License-Identifier: Apache-2.0 */
#include "conv/cuda/cudnn_name.h"

#include "base/text.h"

#include <string.h>

#define VALUE_BITS 20
#define VALUE_MAX ((1 << VALUE_BITS) - 1)

static int pair_of(int type, int value)
{
    return (type + 1) << VALUE_BITS | value;
}

int cvl_cudnn_pair_type(int pair) { return (pair >> VALUE_BITS) - 1; }
int cvl_cudnn_pair_value(int pair) { return pair & VALUE_MAX; }

bool cvl_cudnn_pair_add(struct cvl_variant *variant, int type, long long value)
{
    int at = 1;
    if (value < 0 || value > VALUE_MAX || type < 0 || type >= 1 << (30 - VALUE_BITS))
        return false;
    while (at < CVL_KNOBS_MAX && variant->knob[at] && cvl_cudnn_pair_type(variant->knob[at]) < type)
        at++;
    if (variant->knob[CVL_KNOBS_MAX - 1] || (variant->knob[at] && cvl_cudnn_pair_type(variant->knob[at]) == type))
        return false;
    memmove(&variant->knob[at + 1], &variant->knob[at], (size_t)(CVL_KNOBS_MAX - 1 - at) * sizeof *variant->knob);
    variant->knob[at] = pair_of(type, (int)value);
    return true;
}

void cvl_cudnn_variant_print(const struct cvl_variant *variant, struct cvl_text *text)
{
    if (variant->knob[0])
        cvl_text_add(text, ":eng=%d", variant->knob[0] - 1);
    for (int i = 1; i < CVL_KNOBS_MAX && variant->knob[i]; i++)
        cvl_text_add(text, ":k%d=%d", cvl_cudnn_pair_type(variant->knob[i]), cvl_cudnn_pair_value(variant->knob[i]));
}

bool cvl_cudnn_variant_read(const char *word, size_t length, struct cvl_variant *variant)
{
    const char *equals = memchr(word, '=', length);
    const size_t name = equals ? (size_t)(equals - word) : length;
    long long type, value;
    if (!equals || !cvl_text_int(equals + 1, length - name - 1, 0, VALUE_MAX, &value))
        return false;
    if (name == 3 && memcmp(word, "eng", 3) == 0) {
        if (variant->knob[0])
            return false;
        variant->knob[0] = (int)value + 1;
        return true;
    }
    return name > 1 && word[0] == 'k' && cvl_text_int(word + 1, name - 1, 0, VALUE_MAX, &type)
        && cvl_cudnn_pair_add(variant, (int)(type < CVL_CUDNN_ENGINES_MAX ? type : -1), value);
}
