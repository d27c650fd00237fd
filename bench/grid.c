/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/grid.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/error.h"
#include "base/text.h"

#define ELEMENTS_MAX 2147483647.0

/* A line of the table as numbers. A grid pads symmetrically. */
struct row { int n, c, h, w, k, r, s, pad_h, pad_w, stride_h, stride_w, dil_h, dil_w, groups, count; };

static const struct { const char *name; size_t offset; int low; bool optional; } numbers[] = {
#define NUMBER(member, low, optional) { #member, offsetof(struct row, member), low, optional }
    NUMBER(n, 1, false), NUMBER(c, 1, false), NUMBER(h, 1, false), NUMBER(w, 1, false), NUMBER(k, 1, false),
    NUMBER(r, 1, false), NUMBER(s, 1, false), NUMBER(pad_h, 0, false), NUMBER(pad_w, 0, false),
    NUMBER(stride_h, 1, false), NUMBER(stride_w, 1, false), NUMBER(dil_h, 1, false), NUMBER(dil_w, 1, false),
    NUMBER(groups, 1, false), NUMBER(count, 1, true),
#undef NUMBER
};
enum { NUMBERS = sizeof numbers / sizeof *numbers };

static const char *const passes[] = { [CVL_FWD] = "fwd", [CVL_BWD_DATA] = "bwd_data", [CVL_BWD_FILTER] = "bwd_filter" };
enum { PASSES = sizeof passes / sizeof *passes };

static const char known_columns[] =
    "name,n,c,h,w,k,r,s,pad_h,pad_w,stride_h,stride_w,dil_h,dil_w,groups and optionally count,pass";

/* Where the columns of this table are: of `numbers` in order, -1 for an optional one that is absent. */
struct columns { int number[NUMBERS], name, pass; };

cvl_status layer_list_add(struct layer_list *list, const struct layer *layer)
{
    if (list->count == list->capacity) {
        const int capacity = 2 * list->capacity + 32;
        struct layer *grown = realloc(list->at, (size_t)capacity * sizeof *grown);
        if (!grown)
            return cvl_fail(CVL_ENOMEM, "no memory for %d layers", capacity);
        list->at = grown;
        list->capacity = capacity;
    }
    list->at[list->count++] = *layer;
    return CVL_OK;
}

void layer_list_free(struct layer_list *list)
{
    free(list->at);
    *list = (struct layer_list){ 0 };
}

static cvl_status find_columns(const struct csv_table *table, struct columns *columns)
{
    const char *file = csv_table_name(table);
    columns->name = csv_table_find(table, "name");
    columns->pass = csv_table_find(table, "pass");
    int found = (columns->name >= 0) + (columns->pass >= 0);
    const char *missing = columns->name < 0 ? "name" : NULL;
    for (int i = 0; i < NUMBERS; i++) {
        columns->number[i] = csv_table_find(table, numbers[i].name);
        found += columns->number[i] >= 0;
        if (columns->number[i] < 0 && !numbers[i].optional && !missing)
            missing = numbers[i].name;
    }
    if (missing)
        return cvl_fail(CVL_EINVAL, "%s: line 1: column %s is missing, expected %s", file, missing, known_columns);
    for (int i = 0; found < csv_table_columns(table) && i < csv_table_columns(table); i++) {
        bool known = i == columns->name || i == columns->pass;
        for (int j = 0; j < NUMBERS; j++)
            known |= i == columns->number[j];
        if (!known)
            return cvl_fail(CVL_EINVAL, "%s: line 1: column '%s' is unknown, expected %s", file,
                            csv_table_header(table, i), known_columns);
    }
    return CVL_OK;
}

static cvl_status read_numbers(const struct csv_table *table, const struct columns *columns, int at, struct row *row)
{
    row->count = 1;
    for (int i = 0; i < NUMBERS; i++) {
        if (columns->number[i] < 0)
            continue;
        const char *field = csv_table_field(table, at, columns->number[i]);
        long long value;
        if (!cvl_text_int(field, strlen(field), numbers[i].low, INT_MAX, &value))
            return cvl_fail(CVL_EINVAL, "%s: line %d, column %s: '%s' is not a whole number from %d to %d",
                            csv_table_name(table), csv_table_line(table, at), numbers[i].name, field, numbers[i].low,
                            INT_MAX);
        *(int *)((char *)row + numbers[i].offset) = (int)value;
    }
    return CVL_OK;
}

/* What no single column can tell; `where` is "FILE: line 3". The descriptor's own check knows no columns. */
static cvl_status check_row(const struct row *row, const char *where)
{
    const struct { const char *column; int channels; } divided[] = {
        { "c", row->c }, { "k", row->k },
    };
    for (int i = 0; i < 2; i++)
        if (divided[i].channels % row->groups)
            return cvl_fail(CVL_EINVAL, "%s, column groups: %d does not divide column %s, which is %d", where,
                            row->groups, divided[i].column, divided[i].channels);

    const struct { const char *column; int taps, dil, extent, pad; const char *image; } spans[] = {
        { "r", row->r, row->dil_h, row->h, row->pad_h, "h + 2 pad_h" },
        { "s", row->s, row->dil_w, row->w, row->pad_w, "w + 2 pad_w" },
    };
    for (int i = 0; i < 2; i++) {
        const long long span = (long long)(spans[i].taps - 1) * spans[i].dil + 1;
        const long long padded = spans[i].extent + 2ll * spans[i].pad;
        if (span > padded)
            return cvl_fail(CVL_EINVAL, "%s, column %s: %d taps span %lld with their dilation, expected at most "
                            "%s = %lld", where, spans[i].column, spans[i].taps, span, spans[i].image, padded);
    }

    const double p = (row->h + 2ll * row->pad_h - (row->r - 1ll) * row->dil_h - 1) / row->stride_h + 1;
    const double q = (row->w + 2ll * row->pad_w - (row->s - 1ll) * row->dil_w - 1) / row->stride_w + 1;
    const struct { const char *columns, *tensor; double elements; } tensors[] = {
        { "n, c, h, w", "input", (double)row->n * row->c * row->h * row->w },
        { "k, c, r, s", "filter", (double)row->k * (row->c / row->groups) * row->r * row->s },
        { "n, k, h, w", "output", (double)row->n * row->k * p * q },
    };
    for (int i = 0; i < 3; i++)
        if (tensors[i].elements > ELEMENTS_MAX)
            return cvl_fail(CVL_EINVAL, "%s, columns %s: the %s has %.0f elements, expected at most %.0f", where,
                            tensors[i].columns, tensors[i].tensor, tensors[i].elements, ELEMENTS_MAX);
    return CVL_OK;
}

static cvl_status read_words(const struct csv_table *table, const struct columns *columns, int at, struct layer *layer)
{
    const char *name = csv_table_field(table, at, columns->name);
    const size_t length = strlen(name);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)name[i] < ' ' || name[i] == 0x7f)
            return cvl_fail(CVL_EINVAL, "%s, column name: byte %zu is the control character %d, expected text",
                            layer->origin, i + 1, name[i]);
    if (length == 0 || length >= sizeof layer->name)
        return cvl_fail(CVL_EINVAL, "%s, column name: '%s' has %zu bytes, expected 1 to %zu", layer->origin, name,
                        length, sizeof layer->name - 1);
    memcpy(layer->name, name, length + 1);

    const char *pass = columns->pass < 0 ? passes[CVL_FWD] : csv_table_field(table, at, columns->pass);
    for (int i = 0; i < PASSES; i++) {
        if (strcmp(pass, passes[i]) == 0) {
            layer->desc.pass = (cvl_pass)i;
            return CVL_OK;
        }
    }
    return cvl_fail(CVL_EINVAL, "%s, column pass: '%s' is not fwd, bwd_data or bwd_filter", layer->origin, pass);
}

static cvl_status read_layer(const struct csv_table *table, const struct columns *columns, int at, struct layer *layer)
{
    struct row row = { 0 };
    cvl_conv_desc_init(&layer->desc);
    snprintf(layer->origin, sizeof layer->origin, "%.200s: line %d", csv_table_name(table),
             csv_table_line(table, at));
    cvl_status status = read_words(table, columns, at, layer);
    if (status == CVL_OK)
        status = read_numbers(table, columns, at, &row);
    if (status == CVL_OK)
        status = check_row(&row, layer->origin);
    if (status != CVL_OK)
        return status;

    layer->count = row.count;
    cvl_conv_desc *desc = &layer->desc;
    desc->n = row.n, desc->c = row.c, desc->h = row.h, desc->w = row.w;
    desc->k = row.k, desc->r = row.r, desc->s = row.s, desc->groups = row.groups;
    desc->stride_h = row.stride_h, desc->stride_w = row.stride_w, desc->dil_h = row.dil_h, desc->dil_w = row.dil_w;
    desc->pad_top = desc->pad_bottom = row.pad_h;
    desc->pad_left = desc->pad_right = row.pad_w;
    if (cvl_conv_check(desc) == CVL_OK)
        return CVL_OK;
    return cvl_fail(CVL_EINVAL, "%s: %s", layer->origin, cvl_last_error());
}

cvl_status grid_read(const struct csv_table *table, struct layer_list *list)
{
    struct columns columns;
    cvl_status status = find_columns(table, &columns);
    for (int at = 0; status == CVL_OK && at < csv_table_rows(table); at++) {
        struct layer layer;
        status = read_layer(table, &columns, at, &layer);
        if (status == CVL_OK)
            status = layer_list_add(list, &layer);
    }
    return status;
}
