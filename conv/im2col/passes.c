/* SPDX-License-Identifier: Apache-2.0
 * The three passes as one loop over images and bands. With W (k x taps), L (taps x pixels: lowered, or the image) and
 * Y (k x pixels) of one group, each in the layout in which it lies:
 *     FWD         Y = W L
 *     BWD_DATA    L = W^T Y, and L is added to dx, or is dx
 *     BWD_FILTER  W = sum over images and bands of Y L^T
 * Tasks are cut by shape, and a task's sums do not depend on who computes the others: any number of threads gives the
 * same bits. */
#include "conv/im2col/passes.h"

#include "base/profile.h"
#include "base/threads.h"
#include "conv/epilogue.h"
#include "conv/im2col/blas.h"
#include "conv/im2col/lower.h"

#include <assert.h>

enum { CUT = 16 };   /* parts begin at multiples of it: a GEMM kernel's rows or columns stay full */

enum operand { FILTER, LOWERED, OUTPUT, OPERANDS };   /* W, L, Y */

/* c = a * b. */
static const struct role { enum operand a, b, c; bool a_transposed, b_transposed; } roles[] = {
    [CVL_FWD]        = { .a = FILTER, .b = LOWERED, .c = OUTPUT },
    [CVL_BWD_DATA]   = { .a = FILTER, .b = OUTPUT, .c = LOWERED, .a_transposed = true },
    [CVL_BWD_FILTER] = { .a = OUTPUT, .b = LOWERED, .c = FILTER, .b_transposed = true },
};

static int min(int a, int b) { return a < b ? a : b; }

void cvl_im2col_sizes(const cvl_conv_desc *desc, const struct cvl_im2col *im2col, int *m, int *n, int *k)
{
    const int size[OPERANDS][2] = {
        [FILTER]  = { desc->k / desc->groups, im2col->taps / desc->groups },
        [LOWERED] = { im2col->taps / desc->groups, im2col->lowered ? im2col->rows * im2col->q : im2col->pixels },
        [OUTPUT]  = { desc->k / desc->groups, im2col->lowered ? im2col->rows * im2col->q : im2col->pixels },
    };
    const struct role *role = &roles[desc->pass];
    *m = size[role->c][0];
    *n = size[role->c][1];
    *k = size[role->a][!role->a_transposed];
}

/* Some eight tasks of at least four million operations for a GEMM loop, without regard to the number of threads. */
static int default_parts(const cvl_conv_desc *desc, const struct cvl_im2col *im2col)
{
    int m, n, k;
    cvl_im2col_sizes(desc, im2col, &m, &n, &k);
    const double tasks = (double)desc->groups * im2col->spread, flops = 2.0 * m * n * k;
    const double parts = 8 / tasks < flops / 4e6 ? 8 / tasks : flops / 4e6;
    const int most = (m > n ? m : n) / CUT;
    return parts < 1 || most < 1 ? 1 : min((int)parts, most);
}

struct cvl_im2col cvl_im2col_of(const cvl_conv_desc *desc, const struct cvl_variant *variant)
{
    const int p = cvl_conv_p(desc), q = cvl_conv_q(desc);
    struct cvl_im2col im2col = { .lowered = !cvl_conv_is_pointwise(desc), .images = desc->n, .pixels = p * q, .p = p,
                                 .q = q, .taps = desc->c * desc->r * desc->s, .rows = p, .bands = 1, .spread = 1 };
    if (im2col.lowered) {
        if (variant->knob[CVL_IM2COL_ROWS])
            im2col.rows = variant->knob[CVL_IM2COL_ROWS];
        im2col.bands = p / im2col.rows + (p % im2col.rows != 0);
    } else if (desc->n && desc->x_layout == CVL_NHWC && desc->y_layout == CVL_NHWC) {
        im2col.pixels *= desc->n;
        im2col.images = 1;
    } else if (desc->pass != CVL_BWD_FILTER) {
        im2col.spread = desc->n > 1 ? desc->n : 1;
    }
    im2col.parts = variant->knob[CVL_IM2COL_PARTS] ? variant->knob[CVL_IM2COL_PARTS] : default_parts(desc, &im2col);
    return im2col;
}

/* One run of a plan. */
struct job {
    const cvl_ctx        *ctx;
    const cvl_conv_desc  *desc;
    const cvl_conv_args  *args;
    struct cvl_im2col     im2col;
    float                *matrix;   /* the workspace */
    struct cvl_band       band;     /* when lowered */
    int                   image;    /* the loop of GEMMs in progress begins with it */
    float                 beta;
    bool                  columns;             /* BWD_DATA when lowered: GEMMs write the workspace, not dx */
    bool                  prefill, activate;   /* of the blocks that these GEMMs write */
};

/* Channels [first, first + channels) by all pixels of one image. */
static struct cvl_matrix image_matrix(const struct job *job, enum cvl_tensor tensor, int image, int first, int channels)
{
    const cvl_conv_desc *desc = job->desc;
    const bool is_x = tensor == CVL_X;
    const int all = is_x ? desc->c : desc->k, pixels = job->im2col.pixels;
    const bool nhwc = (is_x ? desc->x_layout : desc->y_layout) == CVL_NHWC;
    float *at = (float *)cvl_conv_pointer(job->args, tensor) + (ptrdiff_t)image * all * pixels;
    const struct cvl_matrix whole = { at, all, pixels, nhwc ? all : pixels, nhwc };
    return cvl_matrix_rows(whole, first, channels);
}

static struct cvl_matrix lowered_matrix(const struct job *job, int image, int group)
{
    const cvl_conv_desc *desc = job->desc;
    const int taps = job->im2col.taps, group_taps = taps / desc->groups;
    if (!job->im2col.lowered)
        return image_matrix(job, CVL_X, image, group * group_taps, group_taps);
    const int pixels = (job->band.last - job->band.first) * job->im2col.q;
    const bool nhwc = desc->x_layout == CVL_NHWC;
    const struct cvl_matrix whole = { job->matrix, taps, pixels, nhwc ? taps : pixels, nhwc };
    return cvl_matrix_rows(whole, group * group_taps, group_taps);
}

static struct cvl_matrix output_matrix(const struct job *job, int image, int group)
{
    const int group_k = job->desc->k / job->desc->groups, q = job->im2col.q;
    const struct cvl_matrix all = image_matrix(job, CVL_Y, image, group * group_k, group_k);
    const struct cvl_band *band = &job->band;
    return job->im2col.lowered ? cvl_matrix_cols(all, band->first * q, (band->last - band->first) * q) : all;
}

static struct cvl_matrix filter_matrix(const struct job *job, int image, int group)
{
    const cvl_conv_desc *desc = job->desc;
    const int taps = job->im2col.taps / desc->groups, group_k = desc->k / desc->groups;
    const bool k_inner = desc->w_layout == CVL_RSCK;
    const struct cvl_matrix whole = { job->args->w, desc->k, taps, k_inner ? desc->k : taps, k_inner };
    return cvl_matrix_rows(whole, group * group_k, group_k);
}

static struct cvl_matrix (*const operands[])(const struct job *, int image, int group) = {
    [FILTER] = filter_matrix, [LOWERED] = lowered_matrix, [OUTPUT] = output_matrix,
};

/* c = a * b of one image and group, or a slice of it; channel: the first in c when c is in the written tensor. */
struct product {
    struct cvl_matrix a, b, c;
    int               channel;
};

static struct product product_of(const struct job *job, int image, int group)
{
    const struct role *role = &roles[job->desc->pass];
    struct product product = { operands[role->a](job, image, group), operands[role->b](job, image, group),
                               operands[role->c](job, image, group), 0 };
    if (role->a_transposed)
        product.a = cvl_matrix_transpose(product.a);
    if (role->b_transposed)
        product.b = cvl_matrix_transpose(product.b);
    product.channel = group * product.c.rows;
    return product;
}

/* Slice `part` of `parts` of the larger side of c; false when it is empty. */
static bool cut(struct product *product, int part, int parts)
{
    const bool by_rows = product->c.rows >= product->c.cols;
    const int64_t side = by_rows ? product->c.rows : product->c.cols, step = (int64_t)parts * CUT;
    const int64_t slice = (side + step - 1) / step * CUT, first = part * slice;
    if (first >= side)
        return false;
    const int begin = (int)first, size = (int)(side - first < slice ? side - first : slice);
    if (by_rows) {
        product->a = cvl_matrix_rows(product->a, begin, size);
        product->c = cvl_matrix_rows(product->c, begin, size);
        product->channel += begin;
    } else {
        product->b = cvl_matrix_cols(product->b, begin, size);
        product->c = cvl_matrix_cols(product->c, begin, size);
    }
    return true;
}

static struct cvl_epilogue_block block_of(const struct job *job, const struct product *product)
{
    const struct cvl_matrix *c = &product->c;
    struct cvl_epilogue_block block = { .out = c->at, .runs = c->transposed ? c->cols : c->rows,
                                        .length = c->transposed ? c->rows : c->cols, .stride = c->ld };
    cvl_epilogue_locate(job->desc, job->args, product->channel, &block);
    return block;
}

/* Task: an image of the loop, a group, and a slice of their product. */
static void gemm_task(int task, int slot, void *arg)
{
    const struct job *job = arg;
    const int parts = job->im2col.parts, groups = job->desc->groups;
    struct product product = product_of(job, job->image + task / parts / groups, task / parts % groups);
    if (!cut(&product, task % parts, parts))
        return;
    const struct cvl_epilogue_block block = job->columns ? (struct cvl_epilogue_block){ 0 } : block_of(job, &product);
    if (job->prefill)
        cvl_epilogue_prefill(job->ctx, &block);
    cvl_sgemm(&product.a, &product.b, job->beta, &product.c);
    if (job->activate)
        cvl_epilogue_activate(job->ctx, &job->desc->epi, &block);
}

static void run_gemms(struct job *job, bool first, bool last)
{
    const bool adds = cvl_epilogue_adds(job->desc);
    job->prefill = !job->columns && first && adds;
    job->activate = !job->columns && last;
    job->beta = !job->columns && (adds || !first) ? 1 : 0;
    cvl_phase("gemm");
    cvl_parallel_for(job->ctx, job->im2col.spread * job->desc->groups * job->im2col.parts, gemm_task, job);
}

static void run_band(struct job *job, int number)
{
    const cvl_conv_desc *desc = job->desc;
    const struct cvl_im2col *im2col = &job->im2col;
    const int bands = im2col->bands, sums = job->image * bands + number;
    const bool filter = desc->pass == CVL_BWD_FILTER;
    if (im2col->lowered) {
        float *image = (float *)job->args->x + (ptrdiff_t)job->image * desc->c * desc->h * desc->w;
        const int first = number * im2col->rows;
        job->band = (struct cvl_band){ desc, image, job->matrix, first, min(im2col->p, first + im2col->rows) };
        if (!job->columns) {
            cvl_phase("lower");
            cvl_lower(job->ctx, &job->band);
        }
    }
    run_gemms(job, !filter || sums == 0, !filter || sums == im2col->images * bands - 1);
    if (job->columns) {
        cvl_phase("col2im");
        cvl_col2im(job->ctx, &job->band);
    }
}

cvl_status cvl_im2col_run(const cvl_plan *plan, const cvl_conv_args *args, void *workspace)
{
    const cvl_conv_desc *desc = &plan->desc;
    struct job job = { .ctx = plan->ctx, .desc = desc, .args = args, .im2col = cvl_im2col_of(desc, &plan->variant),
                       .matrix = workspace };
    job.columns = desc->pass == CVL_BWD_DATA && job.im2col.lowered;
    /* What no GEMM writes: dx, to which columns are added, and the dw of an empty batch. */
    const bool all = job.columns || desc->n == 0;
    if (all) {
        cvl_phase("epilogue");
        cvl_epilogue_prefill_all(plan->ctx, desc, args);
    }
    for (job.image = 0; job.image < job.im2col.images; job.image += job.im2col.spread)
        for (int band = 0; band < job.im2col.bands; band++)
            run_band(&job, band);
    if (all) {
        cvl_phase("epilogue");
        cvl_epilogue_activate_all(plan->ctx, desc, args);
    }
    cvl_phase(NULL);
    return CVL_OK;
}
