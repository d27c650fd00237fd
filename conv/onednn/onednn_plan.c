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

static void add_conv_operands(const cvl_conv_desc *desc, struct cvl_onednn *state, enum cvl_onednn_buffer filter)
{
    static const struct { int x, w, y; dnnl_query_t x_query, w_query, y_query; } passes[] = {
        [CVL_FWD] = { DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST,
                      dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md },
        [CVL_BWD_DATA] = { DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST,
                           dnnl_query_diff_src_md, dnnl_query_weights_md, dnnl_query_diff_dst_md },
        [CVL_BWD_FILTER] = { DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST,
                             dnnl_query_src_md, dnnl_query_diff_weights_md, dnnl_query_diff_dst_md },
    };
    struct cvl_onednn_step *conv = &state->step[CVL_ONEDNN_CONV];
    add_query(conv, passes[desc->pass].x, CVL_ONEDNN_X, passes[desc->pass].x_query, 0);
    add_query(conv, passes[desc->pass].w, filter, passes[desc->pass].w_query, 0);
    add_query(conv, passes[desc->pass].y, CVL_ONEDNN_Y, passes[desc->pass].y_query, 0);
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

/* From one format of the filter into the other; adding to what is there when a gradient is accumulated. */
static cvl_status create_reorder(const struct cvl_onednn *state, bool inwards, bool adds, struct cvl_onednn_step *step)
{
    const struct cvl_onednn_step *conv = &state->step[CVL_ONEDNN_CONV];
    const struct cvl_dnnl_md *blocked = conv->operand[1].md;
    const struct cvl_dnnl_md *from = inwards ? state->raw : blocked, *to = inwards ? blocked : state->raw;
    const struct cvl_dnnl_attr wanted = { .sum = adds };
    dnnl_primitive_attr_t attr;
    dnnl_status_t status = cvl_dnnl_attr_create(&wanted, &attr);
    if (status != dnnl_success)
        return cvl_onednn_fail("describe a reorder", status);
    status = cvl_dnnl_reorder(from, to, attr, cvl_onednn_engine(), &step->pd);
    dnnl_primitive_attr_destroy(attr);
    if (status != dnnl_success)
        return cvl_onednn_fail("find a reorder of the filter", status);
    add(step, DNNL_ARG_FROM, inwards ? CVL_ONEDNN_RAW : CVL_ONEDNN_BLOCKED, from);
    add(step, DNNL_ARG_TO, inwards ? CVL_ONEDNN_BLOCKED : CVL_ONEDNN_RAW, to);
    add_query(step, DNNL_ARG_SCRATCHPAD, CVL_ONEDNN_SCRATCH, dnnl_query_scratchpad_md, 0);
    return create_primitive(step);
}

static cvl_status create_mds(const cvl_conv_desc *desc, struct cvl_onednn *state)
{
    const dnnl_dims_t one = { 1 };
    state->raw = cvl_onednn_filter_md(desc);
    state->zero = cvl_dnnl_md_by_strides(1, one, dnnl_s32, one);
    return state->raw && state->zero ? CVL_OK : cvl_fail(CVL_ENOMEM, "no memory for oneDNN's descriptors");
}

/* The implementation that the knobs name; without knobs, oneDNN's first choice. */
static cvl_status choose(cvl_plan *plan, dnnl_primitive_desc_t *pd)
{
    const int *wanted = plan->variant.knob;
    const bool first = wanted[CVL_ONEDNN_FILTER] == 0 && wanted[CVL_ONEDNN_IMPL] == 0;
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
    return cvl_fail(CVL_ENOTFOUND, "filter is %d (%s) and impl is %d, and oneDNN has no such implementation here",
                    wanted[CVL_ONEDNN_FILTER], name ? name : "no format", wanted[CVL_ONEDNN_IMPL]);
}

/* A filter in its own format needs no reorder, but for a gradient that is added to another. */
static cvl_status create_steps(cvl_plan *plan, struct cvl_onednn *state)
{
    const cvl_conv_desc *desc = &plan->desc;
    const bool written = desc->pass == CVL_BWD_FILTER, adds = written && desc->epi.residual;
    struct cvl_onednn_step *conv = &state->step[CVL_ONEDNN_CONV];
    const struct cvl_dnnl_md *blocked = cvl_dnnl_query_md(conv->pd, cvl_onednn_filter_query(desc->pass), 0);
    const bool reorders = adds || !cvl_dnnl_md_equal(blocked, state->raw);
    add_conv_operands(desc, state, reorders ? CVL_ONEDNN_BLOCKED : CVL_ONEDNN_RAW);
    cvl_status status = create_primitive(conv);
    if (status == CVL_OK && reorders)
        status = create_reorder(state, !written, adds, &state->step[written ? CVL_ONEDNN_OUT : CVL_ONEDNN_IN]);
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
    size_t scratch = scratch_bytes(&state->step[CVL_ONEDNN_CONV]);
    if (in && plan->desc.const_filter) {
        plan->packed_bytes = cvl_dnnl_md_size(blocked);
        plan->packed_required = true;
        describe_packed(plan, blocked);
    }
    if ((in && !plan->desc.const_filter) || out) {
        const size_t reorder = scratch_bytes(&state->step[in ? CVL_ONEDNN_IN : CVL_ONEDNN_OUT]);
        scratch = scratch > reorder ? scratch : reorder;
        state->offset[CVL_ONEDNN_BLOCKED] = take(plan, cvl_dnnl_md_size(blocked));
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
    cvl_free(state);
    plan->state = NULL;
}
