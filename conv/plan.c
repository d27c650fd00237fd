/* SPDX-License-Identifier: Apache-2.0
 * Plans: a checked problem bound to one candidate. This is the public edge of every run, so it validates what the
 * algorithms then take for granted: complete arguments, no missing tensor, alignment, no overlap but the residual's. */
#include "base/alloc.h"
#include "base/dtype.h"
#include "base/hash.h"
#include "base/text.h"
#include "conv/desc.h"
#include "conv/registry.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static const size_t buffer_alignment[] = { [CVL_CPU] = CVL_ALIGN, [CVL_CUDA] = 256 };

/* ---- the device ---- */

/* What algorithms do on a GPU goes to the context's, whichever one the host has made current. */
static int enter(const cvl_ctx *ctx)
{
    return ctx->device->enter ? ctx->device->enter(ctx->device) : -1;
}

static void leave(const cvl_ctx *ctx, int before)
{
    if (ctx->device->leave)
        ctx->device->leave(before);
}

/* ---- making one ---- */

/* A text, hashed: the same on every machine and in every later version. */
uint64_t cvl_plan_packed_identity(const cvl_plan *plan)
{
    const cvl_conv_desc *d = &plan->desc;
    char identity[512];
    struct cvl_text text = { identity, sizeof identity, 0 };
    cvl_text_add(&text, "pass=%d k=%d c=%d r=%d s=%d groups=%d filter=%d", d->pass, d->k, d->c, d->r, d->s, d->groups,
                 d->w_layout);
    cvl_text_add(&text, " types=%s-%s-%s", cvl_dtype_name(d->x_type), cvl_dtype_name(d->w_type),
                 cvl_dtype_name(d->y_type));
    cvl_text_add(&text, " quant=%d%d%d%d", d->quant.x_zero, d->quant.w_zero, d->quant.y_zero, d->quant.per_channel);
    cvl_text_add(&text, " isa=%s algorithm=%s revision=%d format=%s", cvl_isa_name(plan->ctx->isa), plan->algo->name,
                 plan->algo->revision, plan->packed_format);
    assert(text.used < text.size);
    return cvl_hash_bytes(identity, text.used);
}

/* A name carries knobs only; the rest is told by the variant with those knobs. */
static void find_variant(cvl_plan *plan)
{
    struct cvl_variant variants[CVL_VARIANTS_MAX];
    const int count = cvl_algo_variants(plan->ctx, plan->algo, &plan->desc, variants);
    for (int i = 0; i < count; i++)
        if (memcmp(variants[i].knob, plan->variant.knob, sizeof variants[i].knob) == 0)
            plan->variant = variants[i];
}

static cvl_status set_up(cvl_plan *plan, cvl_ctx *ctx, const cvl_conv_desc *desc, const char *candidate)
{
    cvl_status status = cvl_conv_desc_complete(desc, &plan->desc);
    if (status == CVL_OK)
        status = cvl_conv_check(&plan->desc);
    if (status == CVL_OK)
        status = cvl_candidate_parse(candidate, &plan->algo, &plan->variant);
    if (status != CVL_OK)
        return status;
    plan->ctx = ctx;
    const char *refusal = cvl_algo_refusal(ctx, plan->algo, &plan->desc);
    if (refusal)
        return cvl_fail(CVL_EUNSUP, "%s: %s", plan->algo->name, refusal);
    find_variant(plan);
    cvl_candidate_print(plan->algo, &plan->variant, plan->candidate);
    return plan->algo->init ? plan->algo->init(plan) : CVL_OK;
}

cvl_status cvl_plan_create(cvl_ctx *ctx, const cvl_conv_desc *desc, const char *candidate, cvl_plan **plan)
{
    if (!plan)
        return cvl_fail(CVL_EINVAL, "plan is NULL, expected where to store one");
    *plan = NULL;
    if (!ctx || !candidate)
        return cvl_fail(CVL_EINVAL, "%s is NULL, expected one", ctx ? "candidate" : "ctx");
    cvl_plan *made = cvl_calloc(1, sizeof *made);
    if (!made)
        return cvl_fail(CVL_ENOMEM, "no memory for a plan of %.64s", candidate);
    const int before = enter(ctx);
    const cvl_status status = set_up(made, ctx, desc, candidate);
    leave(ctx, before);
    if (status != CVL_OK) {
        cvl_free(made);
        return status;
    }
    if (!*made->packed_format)
        memcpy(made->packed_format, made->candidate, sizeof made->packed_format);
    if (made->packed_bytes > 0)
        made->packed_id = cvl_plan_packed_identity(made);
    *plan = made;
    return CVL_OK;
}

void cvl_plan_destroy(cvl_plan *plan)
{
    if (plan && plan->algo->fini) {
        const int before = enter(plan->ctx);
        plan->algo->fini(plan);
        leave(plan->ctx, before);
    }
    cvl_free(plan);
}

const char *cvl_plan_candidate(const cvl_plan *plan) { return plan->candidate; }
size_t cvl_plan_workspace_size(const cvl_plan *plan) { return plan->workspace_bytes; }
size_t cvl_plan_packed_size(const cvl_plan *plan) { return plan->packed_bytes; }
uint64_t cvl_plan_packed_id(const cvl_plan *plan) { return plan->packed_id; }
bool cvl_plan_deterministic(const cvl_plan *plan) { return !plan->variant.nondeterministic; }

/* ---- what a run is given ---- */

/* Memory that a run touches; 0 bytes: it does not. */
struct operand {
    const char *name;
    const void *at;
    size_t      bytes, alignment;
};

static cvl_status check_operand(const struct operand *operand)
{
    if (operand->bytes == 0)
        return CVL_OK;
    if (!operand->at)
        return cvl_fail(CVL_EINVAL, "%s is NULL, expected %zu bytes", operand->name, operand->bytes);
    if ((uintptr_t)operand->at % operand->alignment != 0)
        return cvl_fail(CVL_EINVAL, "%s is at %p, expected an address aligned to %zu bytes", operand->name, operand->at,
                        operand->alignment);
    return CVL_OK;
}

static bool overlap(const struct operand *a, const struct operand *b)
{
    const uintptr_t a_at = (uintptr_t)a->at, b_at = (uintptr_t)b->at;
    return a->bytes > 0 && b->bytes > 0 && a_at < b_at + b->bytes && b_at < a_at + a->bytes;
}

static struct operand tensor_operand(const cvl_plan *plan, const cvl_conv_args *args, enum cvl_tensor tensor)
{
    static const char *const names[] = { [CVL_X] = "args.x", [CVL_W] = "args.w", [CVL_Y] = "args.y" };
    return (struct operand){ names[tensor], cvl_conv_pointer(args, tensor), cvl_conv_bytes(&plan->desc, tensor),
                             cvl_dtype_size(cvl_conv_type(&plan->desc, tensor)) };
}

static cvl_status check_buffers(const cvl_plan *plan, const cvl_conv_args *args, const void *workspace)
{
    enum { WORKSPACE, PACKED, BIAS, RESIDUAL, READ_A, READ_B, COUNT };
    const cvl_conv_desc *d = &plan->desc;
    const size_t aligned = buffer_alignment[plan->algo->device];
    const enum cvl_tensor tensor = cvl_conv_written(d->pass);
    struct operand written = tensor_operand(plan, args, tensor);
    if (written.alignment < plan->algo->alignment)
        written.alignment = plan->algo->alignment;
    struct operand operands[COUNT] = {
        [WORKSPACE] = { "workspace", workspace, plan->workspace_bytes, aligned },
        [PACKED] = { "args.packed", args->packed, args->packed ? plan->packed_bytes : 0, aligned },
        [BIAS] = { "args.bias", args->bias, d->epi.bias ? (size_t)cvl_conv_bias_count(d) * 4 : 0, 4 },
        [RESIDUAL] = { "args.residual", args->residual, d->epi.residual ? written.bytes : 0, written.alignment },
        [READ_A] = tensor_operand(plan, args, (tensor + 1) % 3),
        [READ_B] = tensor_operand(plan, args, (tensor + 2) % 3),
    };
    if (args->packed)   /* stands in for the raw filter */
        operands[tensor == CVL_Y ? READ_B : READ_A].bytes = 0;
    cvl_status status = check_operand(&written);
    for (int i = 0; i < COUNT && status == CVL_OK; i++) {
        if (operands[i].bytes && operands[i].alignment < plan->algo->alignment)
            operands[i].alignment = plan->algo->alignment;
        status = check_operand(&operands[i]);
        if (status == CVL_OK && overlap(&operands[i], &written) && !(i == RESIDUAL && operands[i].at == written.at))
            status = cvl_fail(CVL_EINVAL, "%s overlaps %s, which is written, expected only args.residual to be the "
                              "very same buffer", operands[i].name, written.name);
    }
    return status;
}

static bool is_scale(float scale)
{
    return isfinite(scale) && scale > 0;
}

static bool is_zero_point(cvl_dtype type, int32_t zero)
{
    return type == CVL_U8 ? zero >= 0 && zero <= 255 : zero >= -128 && zero <= 127;
}

/* Reads the numbers that are on the host whatever the device; what w_scale and w_zero point at is not looked at. */
static cvl_status check_quant(const cvl_conv_desc *d, const cvl_quant *q)
{
    const bool requantized = cvl_conv_type(d, cvl_conv_written(d->pass)) != CVL_S32;
    if (!q && (requantized || d->quant.x_zero || d->quant.w_zero || d->quant.y_zero))
        return cvl_fail(CVL_EINVAL, "args.quant is NULL, expected the scales and zero points of an integer problem");
    if (!q)
        return CVL_OK;
    if (requantized && (!is_scale(q->x_scale) || !is_scale(q->y_scale)))
        return cvl_fail(CVL_EINVAL, "quant.%s is %g, expected a finite number above 0",
                        is_scale(q->x_scale) ? "y_scale" : "x_scale", is_scale(q->x_scale) ? q->y_scale : q->x_scale);
    if (d->quant.x_zero && !is_zero_point(d->x_type, q->x_zero))
        return cvl_fail(CVL_EINVAL, "quant.x_zero is %d, expected a value of %s", q->x_zero, cvl_dtype_name(d->x_type));
    if (d->quant.y_zero && !is_zero_point(d->y_type, q->y_zero))
        return cvl_fail(CVL_EINVAL, "quant.y_zero is %d, expected a value of %s", q->y_zero, cvl_dtype_name(d->y_type));
    const struct operand arrays[] = {
        { "quant.w_scale", q->w_scale, requantized ? sizeof *q->w_scale : 0, sizeof *q->w_scale },
        { "quant.w_zero", q->w_zero, d->quant.w_zero ? sizeof *q->w_zero : 0, sizeof *q->w_zero },
    };
    const cvl_status status = check_operand(&arrays[0]);
    return status != CVL_OK ? status : check_operand(&arrays[1]);
}

/* Arguments as an algorithm sees them: every field set, and nothing there that it need not look at. */
struct complete_args { cvl_conv_args args; cvl_quant quant; };

static cvl_status complete_args(const cvl_plan *plan, const cvl_conv_args *args, struct complete_args *complete)
{
    if (!plan)
        return cvl_fail(CVL_EINVAL, "plan is NULL, expected one");
    cvl_conv_args_init(&complete->args);
    cvl_quant_init(&complete->quant);
    cvl_status status = cvl_complete("cvl_conv_args", args, &complete->args, sizeof complete->args);
    if (status != CVL_OK)
        return status;
    if (!cvl_conv_is_integer(&plan->desc))
        complete->args.quant = NULL;
    if (complete->args.quant) {
        status = cvl_complete("cvl_quant", complete->args.quant, &complete->quant, sizeof complete->quant);
        complete->args.quant = &complete->quant;
    }
    if (!plan->desc.epi.bias)
        complete->args.bias = NULL;
    if (!plan->desc.epi.residual)
        complete->args.residual = NULL;
    if (plan->packed_bytes == 0)
        complete->args.packed = NULL;
    if (!complete->args.stream)
        complete->args.stream = plan->ctx->stream;
    return status;
}

cvl_status cvl_plan_pack(const cvl_plan *plan, const cvl_conv_args *args, void *packed)
{
    struct complete_args complete;
    cvl_status status = complete_args(plan, args, &complete);
    if (status != CVL_OK || plan->packed_bytes == 0)
        return status;
    const struct operand w = tensor_operand(plan, &complete.args, CVL_W);
    const struct operand to = { "packed", packed, plan->packed_bytes, buffer_alignment[plan->algo->device] };
    status = check_operand(&w);
    if (status == CVL_OK)
        status = check_operand(&to);
    if (status == CVL_OK && overlap(&w, &to))
        status = cvl_fail(CVL_EINVAL, "packed overlaps args.w, expected a buffer of its own");
    if (status != CVL_OK)
        return status;
    const int before = enter(plan->ctx);
    status = plan->algo->pack(plan, &complete.args, packed);
    leave(plan->ctx, before);
    return status;
}

cvl_status cvl_plan_run(const cvl_plan *plan, const cvl_conv_args *args, void *workspace)
{
    struct complete_args complete;
    cvl_status status = complete_args(plan, args, &complete);
    if (status != CVL_OK)
        return status;
    if (plan->desc.n == 0 && plan->desc.pass != CVL_BWD_FILTER)
        return CVL_OK;
    if (plan->packed_required && !complete.args.packed)
        return cvl_fail(CVL_EINVAL, "args.packed is NULL, expected what cvl_plan_pack wrote: %s reads no raw filter",
                        plan->candidate);
    status = check_buffers(plan, &complete.args, workspace);
    if (status == CVL_OK && cvl_conv_is_integer(&plan->desc))
        status = check_quant(&plan->desc, complete.args.quant);
    if (status != CVL_OK)
        return status;
    const int before = enter(plan->ctx);
    status = plan->algo->run(plan, &complete.args, workspace);
    leave(plan->ctx, before);
    return status;
}
