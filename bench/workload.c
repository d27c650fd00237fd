/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/workload.h"

#include <stdlib.h>
#include <string.h>
#include "base/error.h"
#include "base/text.h"
#include "bench/nets.h"

static const char *const pass_words[] = { "fwd", "bwd_data", "bwd_filter" };
static const char *const layout_words[] = { "nchw", "nhwc", "nchw16c" };

static cvl_status read_grid(const char *path, struct layer_list *list)
{
    struct csv_table *table;
    cvl_status status = csv_table_load(path, &table);
    if (status == CVL_OK)
        status = grid_read(table, list);
    csv_table_free(table);
    return status;
}

static cvl_status read_net(const char *name, struct layer_list *list)
{
    const cvl_status status = net_read(name, list);
    return status == CVL_OK ? status : cvl_fail(status, "--net %s", cvl_last_error());
}

static cvl_status read_conv(const char *text, struct layer_list *list)
{
    struct layer layer = { .name = "conv", .origin = "--conv", .count = 1 };
    const cvl_status status = cvl_conv_parse(text, &layer.desc);
    if (status != CVL_OK)
        return cvl_fail(status, "--conv '%.120s': %s", text, cvl_last_error());
    return layer_list_add(list, &layer);
}

/* In a grid the filter is packed by default; a problem's text says itself whether it may be. */
static cvl_status read_source(enum source_kind kind, const char *text, struct layer_list *list)
{
    static cvl_status (*const readers[])(const char *, struct layer_list *) = {
        [SOURCE_GRID] = read_grid, [SOURCE_NET] = read_net, [SOURCE_CONV] = read_conv,
    };
    const int first = list->count;
    const cvl_status status = readers[kind](text, list);
    for (int i = first; i < list->count && kind != SOURCE_CONV; i++)
        list->at[i].desc.const_filter = true;
    return status;
}

/* x and w are read and y is written; the other passes rotate the roles. */
static void set_types(cvl_conv_desc *desc, enum dtype_word word)
{
    static const struct { cvl_dtype image, filter, sums; } types[] = {
        [DTYPE_F32] = { CVL_F32, CVL_F32, CVL_F32 }, [DTYPE_BF16] = { CVL_BF16, CVL_BF16, CVL_BF16 },
        [DTYPE_F16] = { CVL_F16, CVL_F16, CVL_F16 }, [DTYPE_INT8] = { CVL_U8, CVL_S8, CVL_S32 },
    };
    desc->x_type = desc->pass == CVL_BWD_DATA ? types[word].sums : types[word].image;
    desc->w_type = desc->pass == CVL_BWD_FILTER ? types[word].sums : types[word].filter;
    desc->y_type = desc->pass == CVL_FWD ? types[word].sums : types[word].image;
}

static int shrunk(int extent, int pads, int taps, int dil, int wanted)
{
    const int needed = (taps - 1) * dil + 1 - pads;
    const int least = needed > wanted ? needed : wanted;
    return extent < least ? extent : least;
}

static void change(const struct bench_config *config, cvl_conv_desc *desc)
{
    if (config->batch)
        desc->n = config->batch;
    if (config->shrink) {
        desc->h = shrunk(desc->h, desc->pad_top + desc->pad_bottom, desc->r, desc->dil_h, config->shrink);
        desc->w = shrunk(desc->w, desc->pad_left + desc->pad_right, desc->s, desc->dil_w, config->shrink);
    }
    if (config->dtype != UNSET)
        set_types(desc, (enum dtype_word)config->dtype);
    if (config->math != UNSET)
        desc->math = (cvl_math)config->math;
    if (config->filter != UNSET)
        desc->const_filter = config->filter == FILTER_PACKED;
    if (desc->pass == CVL_BWD_FILTER)
        desc->const_filter = false;   /* it is what is written */
    if (config->has_epilogue)
        desc->epi = config->epilogue;
}

/* Images of a few channels are not blocked, as in graphs: oneDNN reads those of a network's first layer as they are. */
static void set_layout(cvl_conv_desc *desc, int layout)
{
    desc->x_layout = desc->y_layout = (cvl_layout)layout;
    if (layout == LAYOUT_NCHW16C && desc->c < 16)
        desc->x_layout = CVL_NCHW;
    desc->w_layout = layout == LAYOUT_NHWC ? CVL_KRSC : CVL_KCRS;
}

/* One layer as read becomes one for each pass and layout; UNSET alone is one that stays as it is. */
static cvl_status expand(const struct bench_config *config, const struct layer *read, struct layer_list *list)
{
    const bool every_pass = config->pass == PASS_ALL, both = config->layout == LAYOUT_ALL;
    const int passes[] = { every_pass ? CVL_FWD : config->pass, every_pass ? CVL_BWD_FILTER : config->pass };
    const int layouts[] = { both ? LAYOUT_NCHW : config->layout, both ? LAYOUT_NHWC : config->layout };
    for (int pass = passes[0]; pass <= passes[1]; pass++) {
        for (int layout = layouts[0]; layout <= layouts[1]; layout++) {
            struct layer layer = *read;
            if (pass != UNSET)
                layer.desc.pass = (cvl_pass)pass;
            if (layout != UNSET)
                set_layout(&layer.desc, layout);
            change(config, &layer.desc);
            cvl_status status = cvl_conv_check(&layer.desc);
            if (status != CVL_OK)
                return cvl_fail(status, "%s (%s), changed as the flags say: %s", layer.name, layer.origin,
                                cvl_last_error());
            if ((status = layer_list_add(list, &layer)) != CVL_OK)
                return status;
        }
    }
    return CVL_OK;
}

/* Rounds of some candidates at a few GFLOP/s and GB/s, and what every problem costs however small it is. */
double workload_cost(const cvl_conv_desc *desc)
{
    const double elements =
        (double)cvl_conv_x_count(desc) + (double)cvl_conv_w_count(desc) + (double)cvl_conv_y_count(desc);
    return 0.02 + 100 * (cvl_conv_flops(desc) / 100e9 + 4 * elements / 10e9);
}

/* Longest processing time first (Graham 1969): the costliest layer left goes to the least loaded shard. */
static cvl_status keep_shard(int shard, int shards, struct layer_list *list)
{
    double *cost = malloc((size_t)list->count * sizeof *cost);
    double *load = calloc((size_t)shards, sizeof *load);
    cvl_status status = cost && load ? CVL_OK : cvl_fail(CVL_ENOMEM, "no memory for %d shards", shards);
    for (int i = 0; status == CVL_OK && i < list->count; i++)
        cost[i] = workload_cost(&list->at[i].desc);
    for (int placed = 0; status == CVL_OK && placed < list->count; placed++) {
        int costliest = -1, least = 0;
        for (int i = 0; i < list->count; i++)
            if (cost[i] >= 0 && (costliest < 0 || cost[i] > cost[costliest]))
                costliest = i;
        for (int i = 1; i < shards; i++)
            if (load[i] < load[least])
                least = i;
        load[least] += cost[costliest];
        cost[costliest] = least == shard - 1 ? -1 : -2;   /* ours, or another's */
    }
    int kept = 0;
    for (int i = 0; status == CVL_OK && i < list->count; i++)
        if (cost[i] == -1)
            list->at[kept++] = list->at[i];
    if (status == CVL_OK)
        list->count = kept;
    free(cost);
    free(load);
    return status;
}

cvl_status workload_read(const struct bench_config *config, struct layer_list *list)
{
    struct layer_list read = { 0 };
    cvl_status status = CVL_OK;
    for (int i = 0; status == CVL_OK && i < config->source_count; i++)
        status = read_source(config->sources[i].kind, config->sources[i].text, &read);
    if (status == CVL_OK && config->source_count == 0)
        status = read_source(SOURCE_NET, "resnet50", &read);
    for (int i = 0; status == CVL_OK && i < read.count; i++)
        status = expand(config, &read.at[i], list);
    if (status == CVL_OK && config->shards > 1)
        status = keep_shard(config->shard, config->shards, list);
    if (status != CVL_OK)
        layer_list_free(list);
    layer_list_free(&read);
    return status;
}

void workload_label(const struct layer_list *list, const struct layer *layer, char label[LABEL_MAX])
{
    struct cvl_text text = { label, LABEL_MAX, 0 };
    bool passes = false, layouts = false;
    for (int i = 1; i < list->count; i++) {
        passes |= list->at[i].desc.pass != list->at[0].desc.pass;
        layouts |= list->at[i].desc.x_layout != list->at[0].desc.x_layout;
    }
    cvl_text_add(&text, "%s", layer->name);
    if (passes)
        cvl_text_add(&text, " %s", pass_words[layer->desc.pass]);
    if (layouts)
        cvl_text_add(&text, " %s", layout_words[layer->desc.x_layout]);
}
