/* SPDX-License-Identifier: Apache-2.0
 * A plan: the chosen implementation and the reorders around it, each with the buffers of its arguments. */
#include "conv/onednn/onednn.h"

#include "base/alloc.h"
#include "base/dtype.h"
#include "base/error.h"
#include "base/text.h"
#include "conv/desc.h"

#include <assert.h>
#include <string.h>

cvl_status cvl_onednn_fail(const char *what, dnnl_status_t status)
{
    return cvl_fail(status == dnnl_out_of_memory ? CVL_ENOMEM : CVL_EUNSUP, "oneDNN could not %s (its status is %d)",
                    what, (int)status);
}

static void add(struct cvl_onednn_step *step, int arg, enum cvl_onednn_buffer buffer, const struct cvl_dnnl_md *md)
{
    assert(step->count < CVL_ONEDNN_OPERANDS_MAX);
    step->operand[step->count].arg = arg;
    step->operand[step->count].buffer = buffer;
    step->operand[step->count++].md = md;
}

static void add_query(struct cvl_onednn_step *step, int arg, enum cvl_onednn_buffer buffer, dnnl_query_t what,
                      int index)
{
    add(step, arg, buffer, cvl_dnnl_query_md(step->pd, what, index));
}

/* ---- steps ---- */

static void add_conv_operands(const cvl_conv_desc *desc, struct cvl_onednn *state, enum cvl_onednn_buffer filter,
                              const bool inner[2])
{
    static const struct { int x, w, y; } passes[] = {
        [CVL_FWD] = { DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST },
        [CVL_BWD_DATA] = { DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST },
        [CVL_BWD_FILTER] = { DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST },
    };
    struct cvl_onednn_step *conv = &state->step[CVL_ONEDNN_CONV];
    add_query(conv, passes[desc->pass].x, inner[0] ? CVL_ONEDNN_X_INNER : CVL_ONEDNN_X,
              cvl_onednn_image_query(desc->pass, CVL_X), 0);
    add_query(conv, passes[desc->pass].w, filter, cvl_onednn_filter_query(desc->pass), 0);
    add_query(conv, passes[desc->pass].y, inner[1] ? CVL_ONEDNN_Y_INNER : CVL_ONEDNN_Y,
              cvl_onednn_image_query(desc->pass, CVL_Y), 0);
    if (desc->epi.bias)
        add_query(conv, DNNL_ARG_BIAS, CVL_ONEDNN_BIAS, dnnl_query_weights_md, 1);
    if (desc->quant.x_zero)
        add(conv, DNNL_ARG_ATTR_ZERO_POINTS | DNNL_ARG_SRC, CVL_ONEDNN_X_ZERO, state->zero);
    add_query(conv, DNNL_ARG_SCRATCHPAD, CVL_ONEDNN_SCRATCH, dnnl_query_scratchpad_md, 0);
}

static cvl_status create_primitive(struct cvl_onednn_step *step)
{
    const dnnl_status_t status = dnnl_primitive_create(&step->primitive, step->pd);
    return status == dnnl_success ? CVL_OK : cvl_onednn_fail("make the code of a primitive", status);
}

/* One side of a reorder. */
struct end { enum cvl_onednn_buffer buffer; const struct cvl_dnnl_md *md; };

/* From one format into the other; adding to what is there when a gradient is accumulated. */
static cvl_status create_reorder(struct end from, struct end to, bool adds, struct cvl_onednn_step *step)
{
    const struct cvl_dnnl_attr wanted = { .sum = adds };
    dnnl_primitive_attr_t attr;
    dnnl_status_t status = cvl_dnnl_attr_create(&wanted, &attr);
    if (status != dnnl_success)
        return cvl_onednn_fail("describe a reorder", status);
    status = cvl_dnnl_reorder(from.md, to.md, attr, cvl_onednn_engine(), &step->pd);
    dnnl_primitive_attr_destroy(attr);
    if (status != dnnl_success)
        return cvl_onednn_fail("find a reorder of a tensor", status);
    add(step, DNNL_ARG_FROM, from.buffer, from.md);
    add(step, DNNL_ARG_TO, to.buffer, to.md);
    add_query(step, DNNL_ARG_SCRATCHPAD, CVL_ONEDNN_SCRATCH, dnnl_query_scratchpad_md, 0);
    return create_primitive(step);
}

/* An image into its inner layout if it is read, and out of that if it is written; both with a residual, which a run
 * places into what it writes. */
static cvl_status create_image_steps(const cvl_conv_desc *desc, struct cvl_onednn *state, enum cvl_tensor tensor)
{
    const bool is_y = tensor == CVL_Y, written = cvl_conv_written(desc->pass) == tensor;
    const struct end outer = { is_y ? CVL_ONEDNN_Y : CVL_ONEDNN_X, state->image[is_y] };
    const struct end inner = { is_y ? CVL_ONEDNN_Y_INNER : CVL_ONEDNN_X_INNER,
                               state->step[CVL_ONEDNN_CONV].operand[is_y ? 2 : 0].md };
    cvl_status status = CVL_OK;
    if (!written || desc->epi.residual)
        status = create_reorder(outer, inner, false, &state->step[is_y ? CVL_ONEDNN_Y_IN : CVL_ONEDNN_X_IN]);
    if (status == CVL_OK && written)
        status = create_reorder(inner, outer, false, &state->step[is_y ? CVL_ONEDNN_Y_OUT : CVL_ONEDNN_X_OUT]);
    return status;
}

static cvl_status create_mds(const cvl_conv_desc *desc, struct cvl_onednn *state)
{
    const dnnl_dims_t one = { 1 };
    state->raw = cvl_onednn_filter_md(desc);
    state->zero = cvl_dnnl_md_by_strides(1, one, dnnl_s32, one);
    state->image[0] = cvl_onednn_image_md(desc, CVL_X, false);
    state->image[1] = cvl_onednn_image_md(desc, CVL_Y, false);
    if (!state->raw || !state->zero || !state->image[0] || !state->image[1])
        return cvl_fail(CVL_ENOMEM, "no memory for oneDNN's descriptors");
    return CVL_OK;
}

/* The implementation that the knobs name; without knobs, oneDNN's first choice. */
static cvl_status choose(cvl_plan *plan, dnnl_primitive_desc_t *pd)
{
    const int *wanted = plan->variant.knob;
    const bool first = wanted[CVL_ONEDNN_FILTER] == 0 && wanted[CVL_ONEDNN_IMPL] == 0
                    && wanted[CVL_ONEDNN_INNER] == 0;
    struct cvl_onednn_choices choices;
    cvl_onednn_choices_create(plan->ctx, &plan->desc, &choices);
    *pd = NULL;
    for (int i = 0; i < choices.count && !*pd; i++)
        if (first || memcmp(choices.variant[i].knob, wanted, sizeof choices.variant[i].knob) == 0) {
            *pd = choices.pd[i];
            choices.pd[i] = NULL;
            plan->variant.nondeterministic = choices.variant[i].nondeterministic;
        }
    cvl_onednn_choices_destroy(&choices);
    if (*pd)
        return CVL_OK;
    const char *name = cvl_filter_format_name(wanted[CVL_ONEDNN_FILTER]);
    return cvl_fail(CVL_ENOTFOUND, "filter is %d (%s), impl is %d and inner is %d, and oneDNN has no such "
                    "implementation here", wanted[CVL_ONEDNN_FILTER], name ? name : "no format",
                    wanted[CVL_ONEDNN_IMPL], wanted[CVL_ONEDNN_INNER]);
}

/* A filter in its own format needs no reorder, but for a gradient that is added to another. */
static cvl_status create_steps(cvl_plan *plan, struct cvl_onednn *state)
{
    const cvl_conv_desc *desc = &plan->desc;
    const bool written = desc->pass == CVL_BWD_FILTER, adds = written && desc->epi.residual;
    struct cvl_onednn_step *conv = &state->step[CVL_ONEDNN_CONV];
    const struct end raw = { CVL_ONEDNN_RAW, state->raw };
    const struct end blocked = { CVL_ONEDNN_BLOCKED,
                                 cvl_dnnl_query_md(conv->pd, cvl_onednn_filter_query(desc->pass), 0) };
    const bool reorders = adds || !cvl_dnnl_md_equal(blocked.md, state->raw);
    bool inner[2];
    for (int i = 0; i < 2; i++)
        inner[i] = !cvl_dnnl_md_equal(state->image[i],
            cvl_dnnl_query_md(conv->pd, cvl_onednn_image_query(desc->pass, i ? CVL_Y : CVL_X), 0));
    add_conv_operands(desc, state, reorders ? CVL_ONEDNN_BLOCKED : CVL_ONEDNN_RAW, inner);
    cvl_status status = create_primitive(conv);
    if (status == CVL_OK && reorders)
        status = create_reorder(written ? blocked : raw, written ? raw : blocked, adds,
                                &state->step[written ? CVL_ONEDNN_OUT : CVL_ONEDNN_IN]);
    for (int i = 0; i < 2 && status == CVL_OK; i++)
        if (inner[i])
            status = create_image_steps(desc, state, i ? CVL_Y : CVL_X);
    return status;
}

/* ---- sizes ---- */

static size_t take(cvl_plan *plan, size_t bytes)
{
    const size_t at = plan->workspace_bytes;
    plan->workspace_bytes += cvl_round_up(bytes, CVL_ALIGN);
    return at;
}

static size_t scratch_bytes(const struct cvl_onednn_step *step)
{
    return step->pd ? cvl_dnnl_md_size(cvl_dnnl_query_md(step->pd, dnnl_query_scratchpad_md, 0)) : 0;
}

/* "gOIhw4i16o4i", and "+64" where oneDNN keeps sums for zero points or signed bytes behind it. */
static void describe_packed(cvl_plan *plan, const struct cvl_dnnl_md *blocked)
{
    const char *format = cvl_filter_format_name(cvl_filter_format(blocked));
    struct cvl_dnnl_blocking b;
    struct cvl_text text = { plan->packed_format, sizeof plan->packed_format, 0 };
    if (!format || !cvl_dnnl_md_blocking(blocked, &b))
        return;   /* the candidate's name stands in */
    size_t plain = cvl_dtype_size(plan->desc.w_type);
    for (int i = 0; i < b.ndims; i++)
        plain *= (size_t)b.dims[i];
    cvl_text_add(&text, "%s", format);
    if (plan->packed_bytes > plain)
        cvl_text_add(&text, "+%zu", plan->packed_bytes - plain);
}

static void set_sizes(cvl_plan *plan, struct cvl_onednn *state)
{
    const struct cvl_dnnl_md *blocked = state->step[CVL_ONEDNN_CONV].operand[1].md;
    const bool in = state->step[CVL_ONEDNN_IN].primitive, out = state->step[CVL_ONEDNN_OUT].primitive;
    size_t scratch = 0;
    for (int i = 0; i < CVL_ONEDNN_STEPS; i++) {
        const bool packs = i == CVL_ONEDNN_IN && plan->desc.const_filter;   /* has memory of its own */
        const size_t bytes = packs ? 0 : scratch_bytes(&state->step[i]);
        scratch = bytes > scratch ? bytes : scratch;
    }
    if (in && plan->desc.const_filter) {
        plan->packed_bytes = cvl_dnnl_md_size(blocked);
        plan->packed_required = true;
        describe_packed(plan, blocked);
    }
    if ((in && !plan->desc.const_filter) || out)
        state->offset[CVL_ONEDNN_BLOCKED] = take(plan, cvl_dnnl_md_size(blocked));
    for (int i = 0; i < 3; i += 2) {
        const enum cvl_onednn_buffer buffer = state->step[CVL_ONEDNN_CONV].operand[i].buffer;
        if (buffer == CVL_ONEDNN_X_INNER || buffer == CVL_ONEDNN_Y_INNER)
            state->offset[buffer] = take(plan, cvl_dnnl_md_size(state->step[CVL_ONEDNN_CONV].operand[i].md));
    }
    state->offset[CVL_ONEDNN_SCRATCH] = take(plan, scratch);
}

/* ---- handles ---- */

cvl_status cvl_onednn_handles_create(const struct cvl_onednn *state, struct cvl_onednn_handles *handles)
{
    memset(handles, 0, sizeof *handles);
    for (int s = 0; s < CVL_ONEDNN_STEPS; s++)
        for (int i = 0; i < state->step[s].count; i++) {
            const dnnl_status_t status = cvl_dnnl_memory_create(state->step[s].operand[i].md, cvl_onednn_engine(),
                                                                &handles->of[s][i]);
            if (status != dnnl_success)
                return cvl_onednn_fail("make a memory object", status);
        }
    return CVL_OK;
}

void cvl_onednn_handles_destroy(const struct cvl_onednn *state, struct cvl_onednn_handles *handles)
{
    for (int s = 0; s < CVL_ONEDNN_STEPS; s++)
        for (int i = 0; i < state->step[s].count; i++)
            if (handles->of[s][i])
                dnnl_memory_destroy(handles->of[s][i]);
}

/* ---- init and fini ---- */

cvl_status cvl_onednn_init(cvl_plan *plan)
{
    struct cvl_onednn *state = cvl_calloc(1, sizeof *state);
    if (!state)
        return cvl_fail(CVL_ENOMEM, "no memory for a plan of oneDNN");
    plan->state = state;
    atomic_flag_clear(&state->taken);
    cvl_status status = choose(plan, &state->step[CVL_ONEDNN_CONV].pd);
    const int before = cvl_onednn_enter(plan->ctx);
    if (status == CVL_OK)
        status = create_mds(&plan->desc, state);
    if (status == CVL_OK)
        status = create_steps(plan, state);
    if (status == CVL_OK)
        status = cvl_onednn_handles_create(state, &state->handles);
    if (status == CVL_OK)
        set_sizes(plan, state);
    cvl_onednn_leave(before);
    if (status != CVL_OK)
        cvl_onednn_fini(plan);
    return status;
}

void cvl_onednn_fini(cvl_plan *plan)
{
    struct cvl_onednn *state = plan->state;
    if (!state)
        return;
    cvl_onednn_handles_destroy(state, &state->handles);
    for (int i = 0; i < CVL_ONEDNN_STEPS; i++) {
        if (state->step[i].primitive)
            dnnl_primitive_destroy(state->step[i].primitive);
        if (state->step[i].pd)
            dnnl_primitive_desc_destroy(state->step[i].pd);
    }
    cvl_dnnl_md_destroy(state->raw);
    cvl_dnnl_md_destroy(state->zero);
    cvl_dnnl_md_destroy(state->image[0]);
    cvl_dnnl_md_destroy(state->image[1]);
    cvl_free(state);
    plan->state = NULL;
}
