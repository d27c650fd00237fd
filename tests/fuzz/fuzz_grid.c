/* SPDX-License-Identifier: Apache-2.0
 * Any bytes as a grid: refused with a sentence, or layers that are problems. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "bench/grid.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct csv_table *table = NULL;
    struct layer_list layers = { 0 };
    cvl_status status = csv_table_parse("fuzz.csv", (const char *)bytes, count, &table);
    if (status == CVL_OK)
        status = grid_read(table, &layers);
    if (status != CVL_OK && !*cvl_last_error())
        abort();
    for (int i = 0; i < layers.count; i++)
        if (cvl_conv_check(&layers.at[i].desc) != CVL_OK || layers.at[i].count < 1 ||
            !memchr(layers.at[i].name, '\0', sizeof layers.at[i].name))
            abort();
    layer_list_free(&layers);
    csv_table_free(table);
    return 0;
}
