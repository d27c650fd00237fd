/* SPDX-License-Identifier: Apache-2.0
 * Any text as a problem: refused with a sentence, or printed and parsed back as the same problem. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "conv/desc.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    char text[1024], printed[CVL_CONV_TEXT_MAX], again[CVL_CONV_TEXT_MAX];
    cvl_conv_desc desc, back;
    struct cvl_conv_key key, back_key;
    if (count >= sizeof text)
        return 0;
    memcpy(text, bytes, count);
    text[count] = '\0';
    if (cvl_conv_parse(text, &desc) != CVL_OK) {
        if (!*cvl_last_error())
            abort();
        return 0;
    }
    cvl_conv_print(&desc, printed, sizeof printed);
    if (cvl_conv_parse(printed, &back) != CVL_OK)
        abort();
    cvl_conv_print(&back, again, sizeof again);
    cvl_conv_key_of(&desc, &key);
    cvl_conv_key_of(&back, &back_key);
    if (strcmp(printed, again) != 0 || !cvl_conv_key_equal(&key, &back_key) || cvl_conv_check(&desc) != CVL_OK)
        abort();
    return 0;
}
