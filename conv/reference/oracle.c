/* SPDX-License-Identifier: Apache-2.0
 * The formulas of the three passes, one written element at a time. With g the group, h = p*stride_h + r*dil_h - pad_top
 * and w = q*stride_w + s*dil_w - pad_left, and taps outside of the image left out,
 *     FWD         y[n,k,p,q]  = sum over r,s,c'    x[n,c,h,w]  * w[k,c',r,s]
 *     BWD_DATA    x[n,c,h,w]  = sum over r,s,k'    y[n,k,p,q]  * w[k,c',r,s]
 *     BWD_FILTER  w[k,c',r,s] = sum over n,p,q     x[n,c,h,w]  * y[n,k,p,q]
 * and then act(sum + bias + residual).
 *
 * Sums are in double. The product of two f32 values is exact there, and so is every sum of an integer problem: at most
 * 2^31 products of at most 2^16. An integer sum with its bias (and an s32 residual) is then wrapped to 32 bits, as
 * hardware accumulators do. A u8 or s8 output is requantized in double: the scales' product times that sum, plus the
 * residual's real value, through the activation, over the output's scale, rounded once, half to even. (ONNX Runtime
 * multiplies by a float; where the two differ, the value lies within a float's rounding of a tie.) */
#include "conv/reference/oracle.h"

#include "base/dtype.h"
#include "base/threads.h"

#include <math.h>

enum { TASK_ELEMENTS = 32 };

/* A tensor as the inner loops see it: where it is, and how its integers become numbers. */
struct operand {
    const void        *data;
    cvl_dtype          type;
    struct cvl_strides strides;
    const float       *scale;
    const int32_t     *zero;
    int                scale_step, zero_step;   /* 1: one per channel of what is written */
};

struct view {
    const cvl_conv_desc *desc;
    const cvl_conv_args *args;
    int                  p, q;
    int                  dims[4];               /* of what is written */
    struct operand       tensor[3];             /* by enum cvl_tensor */
    enum cvl_tensor      written;
    bool                 integer;
};

static const float no_scale = 1;
static const int32_t no_zero = 0;

static struct operand operand_of(const cvl_conv_desc *desc, const cvl_conv_args *args, enum cvl_tensor tensor)
{
    return (struct operand){.data = cvl_conv_pointer(args, tensor), .type = cvl_conv_type(desc, tensor),
                            .strides = cvl_conv_strides(desc, tensor), .scale = &no_scale, .zero = &no_zero};
}

static void quantize(struct view *v)
{
    const cvl_quant *quant = v->args->quant;
    const cvl_quant_kind *kind = &v->desc->quant;
    struct operand *x = &v->tensor[CVL_X], *w = &v->tensor[CVL_W], *y = &v->tensor[CVL_Y];
    if (v->tensor[v->written].type != CVL_S32) {
        x->scale = &quant->x_scale;
        w->scale = quant->w_scale;
        y->scale = &quant->y_scale;
        w->scale_step = kind->per_channel;
    }
    if (kind->x_zero)
        x->zero = &quant->x_zero;
    if (kind->y_zero)
        y->zero = &quant->y_zero;
    if (kind->w_zero) {
        w->zero = quant->w_zero;
        w->zero_step = kind->per_channel;
    }
}

static struct view view_of(const cvl_conv_desc *desc, const cvl_conv_args *args)
{
    struct view v = {.desc = desc, .args = args, .p = cvl_conv_p(desc), .q = cvl_conv_q(desc),
                     .written = cvl_conv_written(desc->pass), .integer = cvl_conv_is_integer(desc)};
    cvl_conv_dims(desc, v.written, v.dims);
    for (int tensor = CVL_X; tensor <= CVL_Y; tensor++)
        v.tensor[tensor] = operand_of(desc, args, (enum cvl_tensor)tensor);
    if (v.integer)
        quantize(&v);
    return v;
}

static double zero_of(const struct operand *operand, int channel)
{
    return operand->zero[channel * operand->zero_step];
}

static double scale_of(const struct operand *operand, int channel)
{
    return operand->scale[channel * operand->scale_step];
}

/* One run of products: `count` elements of a tensor from offset `at` on, `step` apart. */
struct run { const struct operand *of; ptrdiff_t at, step; };

static inline double dot_f32(struct run a, struct run b, int count)
{
    const float *a_at = (const float *)a.of->data + a.at, *b_at = (const float *)b.of->data + b.at;
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += (double)a_at[i * a.step] * b_at[i * b.step];
    return sum;
}

static inline double dot(struct run a, struct run b, int count, int channel)
{
    if (a.of->type == CVL_F32 && b.of->type == CVL_F32)
        return dot_f32(a, b, count);
    const double a_zero = zero_of(a.of, channel), b_zero = zero_of(b.of, channel);
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += (cvl_dtype_load(a.of->type, a.of->data, (size_t)(a.at + i * a.step)) - a_zero)
             * (cvl_dtype_load(b.of->type, b.of->data, (size_t)(b.at + i * b.step)) - b_zero);
    return sum;
}

static bool is_inside(int position, int extent)
{
    return position >= 0 && position < extent;
}

/* The output whose tap reads the input at `position`: out*stride + tap*dil - pad == position, if there is one. */
static bool output_of(int position, int pad, int tap_offset, int stride, int extent, int *out)
{
    const int reach = position + pad - tap_offset;
    *out = reach / stride;
    return reach >= 0 && reach % stride == 0 && *out < extent;
}

/* `count` channels of an image from (n, c, row, column) on, times a run of the filter. A block of channels is a run. */
static double channels_dot(const struct operand *image, const int pixel[4], struct run filter, int count, int channel)
{
    const struct cvl_strides *strides = &image->strides;
    double sum = 0;
    for (int done = 0, length; done < count; done += length) {
        const int c = pixel[1] + done, left = count - done;
        const int rest = strides->block ? strides->block - c % strides->block : left;
        const struct run run = {image, cvl_offset(strides, pixel[0], c, pixel[2], pixel[3]),
                                strides->block ? 1 : strides->at[1]};
        length = left < rest ? left : rest;
        sum += dot(run, (struct run){filter.of, filter.at + done * filter.step, filter.step}, length, channel);
    }
    return sum;
}

static double sum_fwd(const struct view *v, const int at[4])
{
    const cvl_conv_desc *d = v->desc;
    const struct operand *x = &v->tensor[CVL_X], *filter = &v->tensor[CVL_W];
    const int n = at[0], k = at[1], p = at[2], q = at[3];
    const int channels = d->c / d->groups, c0 = k / (d->k / d->groups) * channels;
    double sum = 0;
    for (int r = 0; r < d->r; r++)
        for (int s = 0; s < d->s; s++) {
            const int h = p * d->stride_h + r * d->dil_h - d->pad_top;
            const int w = q * d->stride_w + s * d->dil_w - d->pad_left;
            if (is_inside(h, d->h) && is_inside(w, d->w))
                sum += channels_dot(x, (int[]){n, c0, h, w},
                                    (struct run){filter, cvl_offset(&filter->strides, k, 0, r, s),
                                                 filter->strides.at[1]}, channels, k);
        }
    return sum;
}

static double sum_bwd_data(const struct view *v, const int at[4])
{
    const cvl_conv_desc *d = v->desc;
    const struct operand *y = &v->tensor[CVL_Y], *filter = &v->tensor[CVL_W];
    const int n = at[0], c = at[1], h = at[2], w = at[3];
    const int channels = d->c / d->groups, filters = d->k / d->groups, k0 = c / channels * filters;
    double sum = 0;
    for (int r = 0; r < d->r; r++)
        for (int s = 0; s < d->s; s++) {
            int p, q;
            if (output_of(h, d->pad_top, r * d->dil_h, d->stride_h, v->p, &p)
                && output_of(w, d->pad_left, s * d->dil_w, d->stride_w, v->q, &q))
                sum += channels_dot(y, (int[]){n, k0, p, q},
                                    (struct run){filter, cvl_offset(&filter->strides, k0, c % channels, r, s),
                                                 filter->strides.at[0]}, filters, c);
        }
    return sum;
}

static double sum_bwd_filter(const struct view *v, const int at[4])
{
    const cvl_conv_desc *d = v->desc;
    const struct operand *x = &v->tensor[CVL_X], *y = &v->tensor[CVL_Y];
    const int k = at[0], r = at[2], s = at[3];
    const int c = k / (d->k / d->groups) * (d->c / d->groups) + at[1];
    const int w_offset = s * d->dil_w - d->pad_left;
    int q0, q1;   /* the outputs whose tap s is inside: taps and outputs enter the formula alike */
    cvl_tap_range(s, d->dil_w, d->stride_w, d->pad_left, v->q, d->w, &q0, &q1);
    double sum = 0;
    for (int n = 0; n < d->n; n++)
        for (int p = 0; p < v->p; p++) {
            const int h = p * d->stride_h + r * d->dil_h - d->pad_top;
            if (is_inside(h, d->h) && q0 < q1)
                sum += dot((struct run){x, cvl_offset(&x->strides, n, c, h, q0 * d->stride_w + w_offset),
                                        x->strides.at[3] * d->stride_w},
                           (struct run){y, cvl_offset(&y->strides, n, k, p, q0), y->strides.at[3]},
                           q1 - q0, k);
        }
    return sum;
}

static const struct {
    double (*sum)(const struct view *, const int at[4]);
    enum cvl_tensor a, b;   /* what is read */
    int channel;            /* which coordinate of the written element is its channel */
} passes[] = {
    [CVL_FWD]        = {sum_fwd, CVL_X, CVL_W, 1},
    [CVL_BWD_DATA]   = {sum_bwd_data, CVL_Y, CVL_W, 1},
    [CVL_BWD_FILTER] = {sum_bwd_filter, CVL_X, CVL_Y, 0},
};

/* The activations as base.h writes them; a NaN fails every comparison and so is handed on. */
static double clip(double v, double lo, double hi) { return v < lo ? lo : v > hi ? hi : v; }

static double act_none(const cvl_epilogue *epi, double v)      { return v; }
static double act_relu(const cvl_epilogue *epi, double v)      { return v < 0 ? 0 : v; }
static double act_relu6(const cvl_epilogue *epi, double v)     { return clip(v, 0, 6); }
static double act_clip(const cvl_epilogue *epi, double v)      { return clip(v, epi->lo, epi->hi); }
static double act_silu(const cvl_epilogue *epi, double v)      { return v / (1 + exp(-v)); }
static double act_hardswish(const cvl_epilogue *epi, double v) { return v * clip(v + 3, 0, 6) / 6; }
static double act_gelu(const cvl_epilogue *epi, double v)      { return v * (0.5 * erfc(-v * sqrt(0.5))); }

static double (*const activations[])(const cvl_epilogue *, double) = {
    [CVL_ACT_NONE] = act_none, [CVL_ACT_RELU] = act_relu, [CVL_ACT_RELU6] = act_relu6, [CVL_ACT_CLIP] = act_clip,
    [CVL_ACT_SILU] = act_silu, [CVL_ACT_HARDSWISH] = act_hardswish, [CVL_ACT_GELU] = act_gelu,
};

static int32_t wrap(double sum)
{
    return (int32_t)(uint32_t)(int64_t)sum;
}

static double finish_float(const struct view *v, double sum, int channel, size_t index)
{
    const cvl_epilogue *epi = &v->desc->epi;
    if (epi->bias)
        sum += cvl_dtype_load(CVL_F32, v->args->bias, (size_t)channel);
    if (epi->residual)
        sum += cvl_dtype_load(v->tensor[v->written].type, v->args->residual, index);
    return activations[epi->act](epi, sum);
}

static double finish_integer(const struct view *v, double sum, int channel, size_t index)
{
    const cvl_epilogue *epi = &v->desc->epi;
    const struct operand *out = &v->tensor[v->written];
    const double residual = epi->residual ? cvl_dtype_load(out->type, v->args->residual, index) : 0;
    if (epi->bias)
        sum += cvl_dtype_load(CVL_S32, v->args->bias, (size_t)channel);
    if (out->type == CVL_S32)
        return cvl_dtype_round(CVL_S32, activations[epi->act](epi, wrap(sum + residual)));

    const struct operand *a = &v->tensor[passes[v->desc->pass].a], *b = &v->tensor[passes[v->desc->pass].b];
    const double out_scale = scale_of(out, channel), out_zero = zero_of(out, channel);
    double real = scale_of(a, channel) * scale_of(b, channel) * wrap(sum);
    if (epi->residual)
        real += out_scale * (residual - out_zero);
    return cvl_dtype_round(out->type, rint(activations[epi->act](epi, real) / out_scale) + out_zero);
}

/* What pads the channels of a blocked layout is zero. */
static double element(const struct view *v, size_t index)
{
    const struct cvl_strides *strides = &v->tensor[v->written].strides;
    int at[4];
    if (cvl_conv_is_padding(v->desc, v->written, index))
        return 0;
    for (int i = 0; i < 4; i++)   /* 32 bits hold every index, and divide faster */
        at[i] = (int)((uint32_t)index / (uint32_t)strides->at[i] % (uint32_t)v->dims[i]);
    if (strides->block)
        at[1] = (int)(index % (size_t)strides->at[0] / (size_t)strides->at[1]) * strides->block
              + (int)(index % (size_t)strides->block);
    const double sum = passes[v->desc->pass].sum(v, at);
    const int channel = at[passes[v->desc->pass].channel];
    return v->integer ? finish_integer(v, sum, channel, index) : finish_float(v, sum, channel, index);
}

double cvl_oracle_at(const cvl_conv_desc *desc, const cvl_conv_args *args, size_t index)
{
    const struct view v = view_of(desc, args);
    return element(&v, index);
}

void cvl_oracle_range(const cvl_conv_desc *desc, const cvl_conv_args *args, size_t first, size_t count, double *want)
{
    const struct view v = view_of(desc, args);
    for (size_t i = 0; i < count; i++)
        want[i] = element(&v, first + i);
}

struct values_job {
    struct view   view;
    const size_t *indices;
    size_t        count;
    double       *want;
};

static void values_task(int task, int slot, void *arg)
{
    const struct values_job *job = arg;
    const size_t first = (size_t)task * TASK_ELEMENTS;
    const size_t last = first + TASK_ELEMENTS < job->count ? first + TASK_ELEMENTS : job->count;
    for (size_t i = first; i < last; i++)
        job->want[i] = element(&job->view, job->indices ? job->indices[i] : i);
}

void cvl_oracle_values(const cvl_ctx *ctx, const cvl_conv_desc *desc, const cvl_conv_args *args,
                       const size_t *indices, size_t count, double *want)
{
    struct values_job job = {view_of(desc, args), indices, count, want};
    cvl_parallel_for(ctx, (int)((count + TASK_ELEMENTS - 1) / TASK_ELEMENTS), values_task, &job);
}
