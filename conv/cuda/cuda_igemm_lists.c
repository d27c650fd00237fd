/* SPDX-License-Identifier: Apache-2.0
 * The three passes as one matrix product:
 *                  m             n           k             a    b    out
 *     FWD          (n, p, q)     k           (r, s, c)     x    w    y
 *     BWD_DATA     (n, h, w)     c           (r, s, k)     y    w    x     for each residue class of h and w
 *     BWD_FILTER   k             (r, s, c)   (n, p, q)     y    x    w
 * Only the operand that is an image seen through taps has points that can be outside; where no tap ever is, it has
 * none, and its pixels become one long index. */
#include "conv/cuda/cuda_igemm_lists.h"

#include "base/dtype.h"
#include "conv/axis.h"

#define TILE(INDEX, M, N, WARPS_M, WARPS_N) { M, N, WARPS_M, WARPS_N },
const struct cvl_gemm_tile cvl_gemm_tiles[2][CVL_GEMM_TILES] = {
    [CVL_UNIT_CORES] = { CVL_CORES_TILES(TILE) }, [CVL_UNIT_TENSOR] = { CVL_TENSOR_TILES(TILE) },
};

struct view {
    const cvl_conv_desc *desc;
    const cvl_conv_args *args;
    enum cvl_tensor      a, b, out;
    struct cvl_strides   x, y, w;
    int                  c, k;                /* of one group */
    ptrdiff_t            w_group;
    bool                 image;               /* some tap may be outside */
};

/* The packed filter (g, n, r, s, k), as strides of (k, c, r, s). */
static void use_packed(struct view *v)
{
    const bool backward = v->desc->pass == CVL_BWD_DATA;
    const ptrdiff_t reduced = backward ? v->k : v->c, taps = (ptrdiff_t)v->desc->r * v->desc->s;
    v->w.at[backward ? 1 : 0] = taps * reduced;
    v->w.at[backward ? 0 : 1] = 1;
    v->w.at[2] = v->desc->s * reduced;
    v->w.at[3] = reduced;
    v->w_group = (ptrdiff_t)v->k * v->c * taps;
}

static struct view view_of(const cvl_conv_desc *desc, const cvl_conv_args *args)
{
    static const enum cvl_tensor operands[][3] = {
        [CVL_FWD] = { CVL_X, CVL_W, CVL_Y }, [CVL_BWD_DATA] = { CVL_Y, CVL_W, CVL_X },
        [CVL_BWD_FILTER] = { CVL_Y, CVL_X, CVL_W },
    };
    struct view v = {
        .desc = desc, .args = args, .a = operands[desc->pass][0], .b = operands[desc->pass][1],
        .out = operands[desc->pass][2], .x = cvl_conv_strides(desc, CVL_X), .y = cvl_conv_strides(desc, CVL_Y),
        .w = cvl_conv_strides(desc, CVL_W), .c = desc->c / desc->groups, .k = desc->k / desc->groups,
        .image = !cvl_conv_is_pointwise(desc),
    };
    v.w_group = v.k * v.w.at[0];
    if (args->packed)
        use_packed(&v);
    return v;
}

/* ---- lists ---- */

static struct cvl_list list_of(int64_t a, int64_t b, int64_t c)
{
    return (struct cvl_list){ .count = (int)(a * b * c), .a = (int)a, .b = cvl_divisor_of(cvl_max(1, (int)b)),
                              .c = cvl_divisor_of(cvl_max(1, (int)c)) };
}

static struct cvl_list channels(int count, ptrdiff_t stride)
{
    struct cvl_list list = list_of(1, 1, count);
    list.at_c = (int)stride;
    return list;
}

/* Pixels of the image that is read, each at the point where its taps begin. */
static struct cvl_list pixels_read(const struct view *v, const struct cvl_strides *s, const struct cvl_axis *rows,
                                   const struct cvl_axis *columns)
{
    struct cvl_list list = list_of(v->desc->n, rows->count, columns->count);
    list.at = (int)(rows->first * s->at[2] + columns->first * s->at[3]);
    list.at_a = (int)s->at[0];
    list.at_b = (int)(rows->step * s->at[2]);
    list.at_c = (int)(columns->step * s->at[3]);
    list.y = rows->first;
    list.y_b = rows->step;
    list.x = columns->first;
    list.x_c = columns->step;
    return list;
}

/* Pixels of a tensor that is not seen through taps: every out_step-th from out on. */
static struct cvl_list pixels_plain(const struct view *v, const struct cvl_strides *s, const struct cvl_axis *rows,
                                    const struct cvl_axis *columns)
{
    struct cvl_list list = list_of(v->desc->n, rows->count, columns->count);
    list.at = (int)(rows->out * s->at[2] + columns->out * s->at[3]);
    list.at_a = (int)s->at[0];
    list.at_b = (int)(rows->out_step * s->at[2]);
    list.at_c = (int)(columns->out_step * s->at[3]);
    return list;
}

/* (tap row, tap column, channel) of the image that is read. */
static struct cvl_list taps_read(const struct cvl_strides *s, const struct cvl_axis *rows,
                                 const struct cvl_axis *columns, int count)
{
    struct cvl_list list = list_of(rows->taps, columns->taps, count);
    list.at_a = (int)(rows->tap * s->at[2]);
    list.at_b = (int)(columns->tap * s->at[3]);
    list.at_c = (int)s->at[1];
    list.y_a = rows->tap;
    list.x_b = columns->tap;
    return list;
}

/* The same of the filter, whose channels are `stride` apart. */
static struct cvl_list taps_filter(const struct view *v, const struct cvl_axis *rows, const struct cvl_axis *columns,
                                   int count, ptrdiff_t stride)
{
    struct cvl_list list = list_of(rows->taps, columns->taps, count);
    list.at = (int)(rows->w * v->w.at[2] + columns->w * v->w.at[3]);
    list.at_a = (int)(rows->w_step * v->w.at[2]);
    list.at_b = (int)(columns->w_step * v->w.at[3]);
    list.at_c = (int)stride;
    return list;
}

/* Without an image nothing is outside: the digits that continue one another become one. */
static void flatten(struct cvl_list *list)
{
    const int a = list->count / cvl_max(1, (int)(list->b.divisor * list->c.divisor));
    int b = (int)list->b.divisor, c = (int)list->c.divisor;
    list->y = list->y_a = list->y_b = list->x = list->x_b = list->x_c = 0;
    if (c == 1 || (int64_t)list->at_b == (int64_t)c * list->at_c) {
        list->at_c = c == 1 ? list->at_b : list->at_c;
        c *= b;
        b = 1;
    }
    if (b == 1 && (c == 1 || (int64_t)list->at_a == (int64_t)c * list->at_c)) {
        list->at_c = c == 1 ? list->at_a : list->at_c;
        c *= cvl_max(1, a);
        if (a == 0)
            list->count = 0;
        list->at_a = 0;
        list->a = 1;
    }
    list->b = cvl_divisor_of(b);
    list->c = cvl_divisor_of(c);
}

/* ---- operands ---- */

static struct cvl_gemm_operand operand_of(const struct view *v, enum cvl_tensor tensor)
{
    const bool image = v->image && tensor == (v->desc->pass == CVL_BWD_DATA ? CVL_Y : CVL_X);
    struct cvl_gemm_operand operand = { .data = cvl_conv_pointer(v->args, tensor), .height = 1, .width = 1 };
    if (tensor == CVL_W) {
        operand.data = v->args->packed ? v->args->packed : v->args->w;
        operand.group = (int)v->w_group;
    } else {
        operand.group = (int)(tensor == CVL_X ? v->c * v->x.at[1] : v->k * v->y.at[1]);
    }
    operand.image = image;
    if (image) {
        operand.height = tensor == CVL_X ? v->desc->h : cvl_conv_p(v->desc);
        operand.width = tensor == CVL_X ? v->desc->w : cvl_conv_q(v->desc);
    }
    return operand;
}

/* ---- parts ---- */

static void fill_data(const struct view *v, const struct cvl_axis *rows, const struct cvl_axis *columns,
                      struct cvl_gemm *g, struct cvl_gemm_part *part)
{
    const bool backward = v->desc->pass == CVL_BWD_DATA;
    const struct cvl_strides *in = backward ? &v->y : &v->x, *out = backward ? &v->x : &v->y;
    const int reduced = backward ? v->k : v->c, written = backward ? v->c : v->k;
    part->a_rows = pixels_read(v, in, rows, columns);
    part->a_columns = taps_read(in, rows, columns, reduced);
    part->b_columns = taps_filter(v, rows, columns, reduced, v->w.at[!backward]);
    part->out_rows = pixels_plain(v, out, rows, columns);
    g->b_rows = channels(written, v->w.at[backward]);
    g->out_columns = channels(written, out->at[1]);
    g->out_group = (int)(written * out->at[1]);
    if (!v->image) {
        flatten(&part->a_rows);
        flatten(&part->a_columns);
        flatten(&part->out_rows);
    }
}

static void fill_filter(const struct view *v, const struct cvl_axis *rows, const struct cvl_axis *columns,
                        struct cvl_gemm *g, struct cvl_gemm_part *part)
{
    part->a_rows = channels(v->k, v->y.at[1]);
    part->a_columns = pixels_plain(v, &v->y, rows, columns);
    part->b_columns = pixels_read(v, &v->x, rows, columns);
    part->out_rows = channels(v->k, v->w.at[0]);
    g->b_rows = taps_read(&v->x, rows, columns, v->c);
    g->out_columns = taps_filter(v, rows, columns, v->c, v->w.at[1]);
    g->out_group = (int)v->w_group;
    if (!v->image) {
        flatten(&part->a_columns);
        flatten(&part->b_columns);
        flatten(&g->b_rows);
    }
}

/* One residue class. False: no pixel is in it. */
static bool fill_part(const struct view *v, int class, const struct cvl_gemm_choice *choice, struct cvl_gemm *g)
{
    const int classes = cvl_axis_classes(v->desc, false);
    const struct cvl_axis rows = cvl_axis_of(v->desc, true, class / classes);
    const struct cvl_axis columns = cvl_axis_of(v->desc, false, class % classes);
    const struct cvl_gemm_tile tile = cvl_gemm_tiles[choice->unit][choice->tile];
    struct cvl_gemm_part *part = &g->part[g->parts];
    *part = (struct cvl_gemm_part){ .first_tile = g->tiles, .first_row = g->partial_rows };
    (v->desc->pass == CVL_BWD_FILTER ? fill_filter : fill_data)(v, &rows, &columns, g, part);
    if (part->out_rows.count == 0)
        return false;
    g->n_tiles = cvl_divide_up(g->out_columns.count, tile.n);
    part->m_tiles = cvl_divide_up(part->out_rows.count, tile.m);
    part->steps = cvl_divide_up(part->a_columns.count, CVL_TILE_DEPTH_BYTES / (int)cvl_dtype_size(g->type));
    g->tiles += part->m_tiles * g->n_tiles;
    g->partial_rows += part->out_rows.count;
    g->parts++;
    return true;
}

bool cvl_gemm_next(const cvl_conv_desc *desc, const struct cvl_gemm_choice *choice, const cvl_conv_args *args,
                   void *workspace, int *class, struct cvl_gemm *g)
{
    const struct view v = view_of(desc, args);
    const int classes = cvl_axis_classes(desc, true) * cvl_axis_classes(desc, false);
    *g = (struct cvl_gemm){
        .a = operand_of(&v, v.a), .b = operand_of(&v, v.b), .groups = desc->groups, .splits = choice->splits,
        .type = cvl_conv_type(desc, v.a), .partial = workspace,
        .finish = cvl_finish_of(desc, args, cvl_conv_type(desc, v.out), cvl_conv_pointer(args, v.out)),
    };
    while (g->parts < CVL_GEMM_PARTS && *class < classes)
        fill_part(&v, (*class)++, choice, g);
    if (g->parts == 0)
        return false;
    cvl_gemm_choose_vectors(g);
    return true;
}

size_t cvl_gemm_workspace(const cvl_conv_desc *desc, const struct cvl_gemm_choice *choice)
{
    cvl_conv_args args;
    struct cvl_gemm g;
    size_t most = 0;
    cvl_conv_args_init(&args);
    if (choice->splits == 1)
        return 0;
    for (int class = 0; cvl_gemm_next(desc, choice, &args, NULL, &class, &g);) {
        const size_t bytes = (size_t)g.splits * (size_t)g.groups * (size_t)g.partial_rows
                           * (size_t)g.out_columns.count * sizeof(float);
        most = bytes > most ? bytes : most;
    }
    return most;
}

struct cvl_gemm_extent cvl_gemm_extent_of(const cvl_conv_desc *desc)
{
    const struct cvl_gemm_choice choice = { CVL_UNIT_CORES, 0, CVL_STAGES_MIN, 1 };
    cvl_conv_args args;
    struct cvl_gemm g;
    int class = 0;
    cvl_conv_args_init(&args);
    struct cvl_gemm_extent extent = { .parts = cvl_axis_classes(desc, true) * cvl_axis_classes(desc, false) };
    if (!cvl_gemm_next(desc, &choice, &args, NULL, &class, &g))
        return extent;
    extent.n = g.out_columns.count;
    for (int i = 0; i < g.parts; i++) {
        extent.m = extent.m > g.part[i].out_rows.count ? extent.m : g.part[i].out_rows.count;
        extent.k = extent.k > g.part[i].a_columns.count ? extent.k : g.part[i].a_columns.count;
    }
    return extent;
}

/* ---- packing ---- */

bool cvl_gemm_packs(const cvl_conv_desc *desc)
{
    const bool backward = desc->pass == CVL_BWD_DATA;
    const struct cvl_strides w = cvl_conv_strides(desc, CVL_W);
    const int reduced = (backward ? desc->k : desc->c) / desc->groups;
    return desc->const_filter && desc->pass != CVL_BWD_FILTER && reduced > 1 && w.at[!backward] != 1;
}

struct cvl_repack cvl_gemm_repack(const cvl_conv_desc *desc, const void *from, void *to)
{
    const bool backward = desc->pass == CVL_BWD_DATA;
    const struct cvl_strides w = cvl_conv_strides(desc, CVL_W);
    const int k = desc->k / desc->groups, c = desc->c / desc->groups;
    struct cvl_list list = list_of(backward ? c : k, (int64_t)desc->r * desc->s, backward ? k : c);
    list.at_a = (int)w.at[backward];
    list.at_b = (int)w.at[3];   /* r is s rows further in every layout */
    list.at_c = (int)w.at[!backward];
    return (struct cvl_repack){ .from = from, .to = to, .list = list, .groups = desc->groups,
                                .from_group = (int)(k * w.at[0]), .size = (int)cvl_dtype_size(desc->w_type) };
}
