/* SPDX-License-Identifier: Apache-2.0 */
#include "conv/cuda/cudnn_graph.h"

#include "base/error.h"

/* ---- tensors ---- */

struct maker {
    struct cvl_cudnn_graph *graph;
    const cvl_conv_desc    *desc;
    int64_t                 virtuals;
    cvl_status              status;
};

static cudnnBackendDescriptor_t make(struct maker *maker, cudnnBackendDescriptorType_t type)
{
    if (maker->status == CVL_OK && maker->graph->part_count == CVL_CUDNN_PARTS_MAX)
        maker->status = cvl_fail(CVL_EUNSUP, "a graph has more than %d parts", CVL_CUDNN_PARTS_MAX);
    cudnnBackendDescriptor_t made = cvl_cudnn_make(type, &maker->status);
    if (made)
        maker->graph->part[maker->graph->part_count++] = made;
    return made;
}

static const cudnnDataType_t data_types[] = {
    [CVL_F32] = CUDNN_DATA_FLOAT, [CVL_BF16] = CUDNN_DATA_BFLOAT16, [CVL_F16] = CUDNN_DATA_HALF,
    [CVL_S8] = CUDNN_DATA_INT8, [CVL_U8] = CUDNN_DATA_UINT8, [CVL_S32] = CUDNN_DATA_INT32,
};

struct tensor { int64_t uid, size[4], stride[4]; cvl_dtype type; bool is_virtual; };

static cudnnBackendDescriptor_t add_tensor(struct maker *maker, const struct tensor *tensor)
{
    const int64_t alignment = CVL_CUDNN_ALIGNMENT;
    const bool is_virtual = tensor->is_virtual;
    cudnnBackendDescriptor_t made = make(maker, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    cvl_cudnn_set(made, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &tensor->uid, &maker->status);
    cvl_cudnn_set(made, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &data_types[tensor->type],
                  &maker->status);
    cvl_cudnn_set(made, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, tensor->size, &maker->status);
    cvl_cudnn_set(made, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, tensor->stride, &maker->status);
    cvl_cudnn_set(made, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment, &maker->status);
    cvl_cudnn_set(made, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual, &maker->status);
    cvl_cudnn_finalize(made, "describing a tensor", &maker->status);
    return made;
}

/* Sizes are in the order (n,c,h,w) whatever the layout; `order` names the dimensions from the fastest on. */
static void pack_strides(struct tensor *tensor, const int order[4])
{
    int64_t stride = 1;
    for (int i = 0; i < 4; i++) {
        tensor->stride[order[i]] = stride;
        stride *= tensor->size[order[i]];
    }
}

static struct tensor tensor_of(const cvl_conv_desc *d, enum cvl_tensor which)
{
    static const int image_orders[][4] = { [CVL_NCHW] = { 3, 2, 1, 0 }, [CVL_NHWC] = { 1, 3, 2, 0 } };
    static const int filter_orders[][4] = { [CVL_KCRS] = { 3, 2, 1, 0 }, [CVL_KRSC] = { 1, 3, 2, 0 },
                                            [CVL_RSCK] = { 0, 1, 3, 2 } };
    const struct tensor tensors[] = {
        [CVL_X] = { .uid = CVL_CUDNN_X, .size = { d->n, d->c, d->h, d->w }, .type = d->x_type },
        [CVL_W] = { .uid = CVL_CUDNN_W, .size = { d->k, d->c / d->groups, d->r, d->s }, .type = d->w_type },
        [CVL_Y] = { .uid = CVL_CUDNN_Y, .size = { d->n, d->k, cvl_conv_p(d), cvl_conv_q(d) }, .type = d->y_type },
    };
    const int *orders[] = { [CVL_X] = image_orders[d->x_layout], [CVL_W] = filter_orders[d->w_layout],
                            [CVL_Y] = image_orders[d->y_layout] };
    struct tensor tensor = tensors[which];
    pack_strides(&tensor, orders[which]);
    return tensor;
}

/* ---- the convolution ---- */

static cudnnBackendDescriptor_t add_convolution(struct maker *maker)
{
    const cvl_conv_desc *d = maker->desc;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    const int64_t dims = 2;
    const struct { cudnnBackendAttributeName_t name; int64_t value[2]; } pairs[] = {
        { CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, { d->pad_top, d->pad_left } },
        { CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, { d->pad_bottom, d->pad_right } },
        { CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, { d->stride_h, d->stride_w } },
        { CUDNN_ATTR_CONVOLUTION_DILATIONS, { d->dil_h, d->dil_w } },
    };
    cudnnBackendDescriptor_t made = make(maker, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    cvl_cudnn_set(made, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type, &maker->status);
    cvl_cudnn_set(made, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode, &maker->status);
    cvl_cudnn_set(made, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &dims, &maker->status);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        cvl_cudnn_set(made, pairs[i].name, CUDNN_TYPE_INT64, 2, pairs[i].value, &maker->status);
    cvl_cudnn_finalize(made, "describing a convolution", &maker->status);
    return made;
}

/* cuDNN's names for what one pass is made of: x, w and y in that order, whichever is written. */
static const struct {
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t  tensors[3], convolution, alpha, beta;
} passes[] = {
    [CVL_FWD] = { CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                  { CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                    CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y },
                  CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA },
    [CVL_BWD_DATA] = { CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                       { CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY },
                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA },
    [CVL_BWD_FILTER] = { CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                         { CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                           CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                           CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY },
                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA },
};

static cudnnBackendDescriptor_t add_pass(struct maker *maker, cudnnBackendDescriptor_t result)
{
    const cvl_conv_desc *d = maker->desc;
    const float one = 1, zero = 0;
    cudnnBackendDescriptor_t convolution = add_convolution(maker), tensors[3];
    for (enum cvl_tensor which = CVL_X; which <= CVL_Y; which++) {
        const struct tensor tensor = tensor_of(d, which);
        tensors[which] = which == cvl_conv_written(d->pass) ? result : add_tensor(maker, &tensor);
    }
    cudnnBackendDescriptor_t made = make(maker, passes[d->pass].type);
    for (enum cvl_tensor which = CVL_X; which <= CVL_Y; which++)
        cvl_cudnn_set(made, passes[d->pass].tensors[which], CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &tensors[which],
                      &maker->status);
    cvl_cudnn_set(made, passes[d->pass].convolution, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &convolution, &maker->status);
    cvl_cudnn_set(made, passes[d->pass].alpha, CUDNN_TYPE_FLOAT, 1, &one, &maker->status);
    cvl_cudnn_set(made, passes[d->pass].beta, CUDNN_TYPE_FLOAT, 1, &zero, &maker->status);
    cvl_cudnn_finalize(made, "describing a pass", &maker->status);
    return made;
}

/* ---- the epilogue ---- */

static const struct { cudnnPointwiseMode_t mode; bool supported; } acts[] = {
    [CVL_ACT_RELU] = { CUDNN_POINTWISE_RELU_FWD, true },    [CVL_ACT_RELU6] = { CUDNN_POINTWISE_RELU_FWD, true },
    [CVL_ACT_CLIP] = { CUDNN_POINTWISE_RELU_FWD, true },    [CVL_ACT_SILU] = { CUDNN_POINTWISE_SWISH_FWD, true },
    [CVL_ACT_HARDSWISH] = { CUDNN_POINTWISE_RELU_FWD, false }, [CVL_ACT_GELU] = { CUDNN_POINTWISE_GELU_FWD, true },
};

static cudnnBackendDescriptor_t add_pointwise(struct maker *maker, cudnnPointwiseMode_t mode, cvl_act act)
{
    const cvl_epilogue *epi = &maker->desc->epi;
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    const double low = act == CVL_ACT_CLIP ? (double)epi->lo : 0, high = act == CVL_ACT_CLIP ? (double)epi->hi : 6;
    cudnnBackendDescriptor_t made = make(maker, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    cvl_cudnn_set(made, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode, &maker->status);
    cvl_cudnn_set(made, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &type, &maker->status);
    if (act == CVL_ACT_RELU6 || act == CVL_ACT_CLIP) {
        cvl_cudnn_set(made, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP, CUDNN_TYPE_DOUBLE, 1, &low, &maker->status);
        cvl_cudnn_set(made, CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, CUDNN_TYPE_DOUBLE, 1, &high, &maker->status);
    }
    cvl_cudnn_finalize(made, "describing an epilogue", &maker->status);
    return made;
}

/* to = from + b, or act(from) where b is NULL. */
static cudnnBackendDescriptor_t add_step(struct maker *maker, cudnnBackendDescriptor_t from, cudnnBackendDescriptor_t b,
                                         cudnnBackendDescriptor_t to)
{
    const cvl_act act = b ? CVL_ACT_NONE : maker->desc->epi.act;
    cudnnBackendDescriptor_t pointwise = add_pointwise(maker, b ? CUDNN_POINTWISE_ADD : acts[act].mode, act);
    cudnnBackendDescriptor_t made = make(maker, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    cvl_cudnn_set(made, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &pointwise,
                  &maker->status);
    cvl_cudnn_set(made, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &from, &maker->status);
    if (b)
        cvl_cudnn_set(made, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &b, &maker->status);
    cvl_cudnn_set(made, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &to, &maker->status);
    cvl_cudnn_finalize(made, "describing a step of an epilogue", &maker->status);
    return made;
}

static cudnnBackendDescriptor_t add_bias(struct maker *maker)
{
    struct tensor bias = { .uid = CVL_CUDNN_BIAS, .size = { 1, cvl_conv_bias_count(maker->desc), 1, 1 },
                           .type = CVL_F32 };
    pack_strides(&bias, (const int[4]){ 1, 3, 2, 0 });
    return add_tensor(maker, &bias);
}

/* The written tensor, or what comes before it when there are steps left: of the same shape, in f32, never in memory. */
static cudnnBackendDescriptor_t add_result(struct maker *maker, int steps_left)
{
    struct tensor result = tensor_of(maker->desc, cvl_conv_written(maker->desc->pass));
    if (steps_left > 0) {
        result.uid = CVL_CUDNN_VIRTUAL + maker->virtuals++;
        result.type = CVL_F32;
        result.is_virtual = true;
    }
    return add_tensor(maker, &result);
}

static int add_operations(struct maker *maker, cudnnBackendDescriptor_t operations[4])
{
    const cvl_epilogue *epi = &maker->desc->epi;
    int left = epi->bias + epi->residual + (epi->act != CVL_ACT_NONE), count = 0;
    cudnnBackendDescriptor_t result = add_result(maker, left), others[3] = { NULL };
    const int steps = left;
    if (epi->bias)
        others[count++] = add_bias(maker);
    if (epi->residual) {
        struct tensor residual = tensor_of(maker->desc, cvl_conv_written(maker->desc->pass));
        residual.uid = CVL_CUDNN_RESIDUAL;
        others[count] = add_tensor(maker, &residual);
    }
    count = 0;
    operations[count++] = add_pass(maker, result);
    for (int i = 0; i < steps; i++) {
        cudnnBackendDescriptor_t next = add_result(maker, --left);
        operations[count++] = add_step(maker, result, others[i], next);
        result = next;
    }
    return count;
}

cvl_status cvl_cudnn_graph_create(const struct cvl_cudnn_target *target, const cvl_conv_desc *desc,
                                  struct cvl_cudnn_graph *graph)
{
    struct maker maker = { .graph = graph, .desc = desc };
    cudnnBackendDescriptor_t operations[4];
    *graph = (struct cvl_cudnn_graph){ .part_count = 0 };
    if (desc->epi.act != CVL_ACT_NONE && !acts[desc->epi.act].supported)
        return cvl_fail(CVL_EUNSUP, "cuDNN has no hardswish");
    const int count = add_operations(&maker, operations);
    graph->graph = make(&maker, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    cvl_cudnn_set(graph->graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, count, operations,
                  &maker.status);
    if (target->handle)
        cvl_cudnn_set(graph->graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &target->handle,
                      &maker.status);
    cvl_cudnn_finalize(graph->graph, "making a graph", &maker.status);
    if (maker.status != CVL_OK)
        cvl_cudnn_graph_destroy(graph);
    return maker.status;
}

void cvl_cudnn_graph_destroy(struct cvl_cudnn_graph *graph)
{
    for (int i = graph->part_count - 1; i >= 0; i--)
        cvl_cudnn()->cudnnBackendDestroyDescriptor(graph->part[i]);
    *graph = (struct cvl_cudnn_graph){ .part_count = 0 };
}
