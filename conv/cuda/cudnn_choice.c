/* SPDX-License-Identifier: Apache-2.0 */
#include "conv/cuda/cudnn_choice.h"

#include "base/error.h"

#include <string.h>

#define CONFIGS_MAX 128             /* of one heuristic; some 40 were seen */
#define CUDNN_KNOBS_MAX 64

/* ---- what cuDNN says of a configuration ---- */

static cvl_status get_notes(cudnnBackendDescriptor_t engine, unsigned *notes)
{
    cudnnBackendNumericalNote_t list[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    int64_t count = 0;
    const cvl_status status = cvl_cudnn_get(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                            CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &count, list);
    *notes = 0;
    for (int64_t i = 0; status == CVL_OK && i < count && i < CUDNN_NUMERICAL_NOTE_TYPE_COUNT; i++)
        if ((int)list[i] < CVL_CUDNN_RANK_SHIFT)
            *notes |= 1u << list[i];
    return status;
}

static cvl_status read_engine(cudnnBackendDescriptor_t config, struct cvl_variant *variant)
{
    int64_t count, index = -1;
    cvl_status status = CVL_OK;
    cudnnBackendDescriptor_t engine = cvl_cudnn_make(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &status);
    if (status != CVL_OK)
        return status;
    status = cvl_cudnn_get(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &engine);
    if (status == CVL_OK)
        status = cvl_cudnn_get(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &count, &index);
    if (status == CVL_OK)
        status = get_notes(engine, &variant->notes);
    if (status == CVL_OK && (index < 0 || index >= CVL_CUDNN_ENGINES_MAX))
        status = cvl_fail(CVL_EUNSUP, "cuDNN's engine has the number %lld", (long long)index);
    variant->knob[0] = (int)index + 1;
    variant->nondeterministic = variant->notes & CVL_CUDNN_NOTE(NONDETERMINISTIC);
    cvl_cudnn()->cudnnBackendDestroyDescriptor(engine);
    return status;
}

static cvl_status read_choice(cudnnBackendDescriptor_t choice, struct cvl_variant *variant)
{
    cudnnBackendKnobType_t type;
    int64_t count, value;
    cvl_status status = cvl_cudnn_get(choice, CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &count, &type);
    if (status == CVL_OK)
        status = cvl_cudnn_get(choice, CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &count, &value);
    if (status == CVL_OK && !cvl_cudnn_pair_add(variant, (int)type, value))
        status = cvl_fail(CVL_EUNSUP, "cuDNN's engine has more knobs than a name has room for");
    return status;
}

/* A descriptor for each answer must exist before it is asked for. */
static int make_many(cudnnBackendDescriptorType_t type, int most, cudnnBackendDescriptor_t *made, cvl_status *status)
{
    int count = 0;
    while (count < most && *status == CVL_OK) {
        made[count] = cvl_cudnn_make(type, status);
        count += *status == CVL_OK;
    }
    return count;
}

static void destroy_many(cudnnBackendDescriptor_t *made, int count)
{
    for (int i = 0; i < count; i++)
        cvl_cudnn()->cudnnBackendDestroyDescriptor(made[i]);
}

static cvl_status read_config(cudnnBackendDescriptor_t config, struct cvl_variant *variant)
{
    cudnnBackendDescriptor_t choices[CUDNN_KNOBS_MAX];
    int64_t count = 0;
    *variant = (struct cvl_variant){ .knob = { 0 } };
    cvl_status status = read_engine(config, variant);
    const int made = make_many(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, CUDNN_KNOBS_MAX, choices, &status);
    if (status == CVL_OK)
        status = cvl_cudnn_get(config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                               CUDNN_KNOBS_MAX, &count, choices);
    for (int64_t i = 0; i < count && i < CUDNN_KNOBS_MAX && status == CVL_OK; i++)
        status = read_choice(choices[i], variant);
    destroy_many(choices, made);
    return status;
}

/* ---- heuristics ---- */

/* Tensor cores round f32 inputs to tf32; a reduced reduction rounds sums to 16 bits. */
static bool is_allowed(const cvl_conv_desc *desc, unsigned notes)
{
    const unsigned rounded = CVL_CUDNN_NOTE(TENSOR_CORE) | CVL_CUDNN_NOTE(DOWN_CONVERT_INPUTS);
    unsigned forbidden = desc->math == CVL_MATH_F16 ? 0 : CVL_CUDNN_NOTE(REDUCED_PRECISION_REDUCTION);
    if (cvl_conv_is_f32(desc) && desc->math == CVL_MATH_F32)
        forbidden |= rounded;
    return !(notes & forbidden);
}

static bool is_listed(const struct cvl_cudnn_choices *choices, const struct cvl_variant *variant)
{
    for (int i = 0; i < choices->count; i++)
        if (memcmp(choices->variant[i].knob, variant->knob, sizeof variant->knob) == 0)
            return true;
    return false;
}

static void take_config(const cvl_conv_desc *desc, cudnnBackendDescriptor_t config, struct cvl_cudnn_choices *choices)
{
    struct cvl_variant variant;
    const bool named = read_config(config, &variant) == CVL_OK;
    if (named && is_listed(choices, &variant))
        return;
    if (!named || !is_allowed(desc, variant.notes) || choices->count == CVL_VARIANTS_MAX) {
        choices->left_out++;
        return;
    }
    variant.notes |= (unsigned)choices->count << CVL_CUDNN_RANK_SHIFT;
    choices->variant[choices->count++] = variant;
}

static cvl_status ask(const struct cvl_cudnn_target *target, const struct cvl_cudnn_graph *graph,
                      cudnnBackendHeurMode_t mode, cudnnBackendDescriptor_t *heuristic)
{
    cvl_status status = CVL_OK;
    *heuristic = cvl_cudnn_make(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, &status);
    cvl_cudnn_set(*heuristic, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph->graph,
                  &status);
    cvl_cudnn_set(*heuristic, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode, &status);
#if CUDNN_VERSION >= 90800
    if (target->properties)
        cvl_cudnn_set(*heuristic, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                      &target->properties, &status);
#endif
    cvl_cudnn_finalize(*heuristic, "asking its heuristics", &status);
    return status;
}

/* That one heuristic has no answer is no failure. */
static cvl_status take_answers(const struct cvl_cudnn_target *target, const cvl_conv_desc *desc,
                               const struct cvl_cudnn_graph *graph, cudnnBackendHeurMode_t mode,
                               struct cvl_cudnn_choices *choices)
{
    cudnnBackendDescriptor_t heuristic, configs[CONFIGS_MAX];
    int64_t count = 0;
    int made = 0;
    cvl_status status = ask(target, graph, mode, &heuristic);
    if (status == CVL_OK)
        status = cvl_cudnn_get(heuristic, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count,
                               NULL);
    if (status == CVL_OK)
        made = make_many(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, count < CONFIGS_MAX ? (int)count : CONFIGS_MAX, configs,
                         &status);
    if (status == CVL_OK && made > 0)
        status = cvl_cudnn_get(heuristic, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, made, &count,
                               configs);
    for (int64_t i = 0; status == CVL_OK && i < count && i < made; i++)
        take_config(desc, configs[i], choices);
    destroy_many(configs, made);
    if (heuristic)
        cvl_cudnn()->cudnnBackendDestroyDescriptor(heuristic);
    return status == CVL_EUNSUP ? CVL_OK : status;
}

cvl_status cvl_cudnn_choices_make(const struct cvl_cudnn_target *target, const cvl_conv_desc *desc,
                                  struct cvl_cudnn_choices *choices)
{
    static const cudnnBackendHeurMode_t modes[] = { CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_B, CUDNN_HEUR_MODE_FALLBACK };
    struct cvl_cudnn_graph graph;
    memset(choices, 0, sizeof *choices);
    cvl_status status = cvl_cudnn_graph_create(target, desc, &graph);
    if (status != CVL_OK)
        return status;
    for (size_t i = 0; i < sizeof modes / sizeof *modes && status == CVL_OK; i++)
        status = take_answers(target, desc, &graph, modes[i], choices);
    cvl_cudnn_graph_destroy(&graph);
    return status;
}

/* ---- one configuration ---- */

static void make_engine(const struct cvl_cudnn_target *target, const struct cvl_variant *variant,
                        struct cvl_cudnn_plan *plan, cvl_status *status)
{
    const int64_t index = variant->knob[0] - 1;
    plan->engine = cvl_cudnn_make(CUDNN_BACKEND_ENGINE_DESCRIPTOR, status);
    cvl_cudnn_set(plan->engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &plan->graph.graph,
                  status);
    cvl_cudnn_set(plan->engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &index, status);
#if CUDNN_VERSION >= 90800
    if (target->properties)
        cvl_cudnn_set(plan->engine, CUDNN_ATTR_ENGINE_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &target->properties,
                      status);
#endif
    cvl_cudnn_finalize(plan->engine, "making an engine", status);
    if (*status == CVL_OK)
        *status = get_notes(plan->engine, &plan->notes);
}

static void make_config(const struct cvl_variant *variant, struct cvl_cudnn_plan *plan, cvl_status *status)
{
    int count = 0;
    for (int i = 1; i < CVL_KNOBS_MAX && variant->knob[i]; i++, count++) {
        const cudnnBackendKnobType_t type = (cudnnBackendKnobType_t)cvl_cudnn_pair_type(variant->knob[i]);
        const int64_t value = cvl_cudnn_pair_value(variant->knob[i]);
        plan->choice[count] = cvl_cudnn_make(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, status);
        cvl_cudnn_set(plan->choice[count], CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &type, status);
        cvl_cudnn_set(plan->choice[count], CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &value, status);
        cvl_cudnn_finalize(plan->choice[count], "choosing a knob", status);
    }
    plan->config = cvl_cudnn_make(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, status);
    cvl_cudnn_set(plan->config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &plan->engine, status);
    if (count > 0)
        cvl_cudnn_set(plan->config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR, count,
                      plan->choice, status);
    cvl_cudnn_finalize(plan->config, "choosing an engine's knobs", status);
}

static void make_plan(const struct cvl_cudnn_target *target, struct cvl_cudnn_plan *plan, cvl_status *status)
{
    int64_t count, bytes = 0;
    plan->plan = cvl_cudnn_make(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, status);
    cvl_cudnn_set(plan->plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &plan->config,
                  status);
    if (target->handle)
        cvl_cudnn_set(plan->plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &target->handle, status);
#if CUDNN_VERSION >= 90800
    if (target->properties)
        cvl_cudnn_set(plan->plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                      &target->properties, status);
#endif
    cvl_cudnn_finalize(plan->plan, "making a plan", status);
    if (*status == CVL_OK)
        *status = cvl_cudnn_get(plan->plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &count,
                                &bytes);
    plan->workspace_bytes = bytes > 0 ? (size_t)bytes : 0;
}

cvl_status cvl_cudnn_plan_create(const struct cvl_cudnn_target *target, const cvl_conv_desc *desc,
                                 const struct cvl_variant *variant, struct cvl_cudnn_plan *plan)
{
    *plan = (struct cvl_cudnn_plan){ .plan = NULL };
    cvl_status status = cvl_cudnn_graph_create(target, desc, &plan->graph);
    make_engine(target, variant, plan, &status);
    if (status == CVL_OK && !is_allowed(desc, plan->notes))
        status = cvl_fail(CVL_EUNSUP, "cuDNN's engine %d rounds what it reads, and the problem's math is f32",
                          variant->knob[0] - 1);
    make_config(variant, plan, &status);
    make_plan(target, plan, &status);
    if (status == CVL_OK)
        return CVL_OK;
    cvl_cudnn_plan_destroy(plan);
    return status == CVL_EUNSUP ? CVL_ENOTFOUND : status;
}

void cvl_cudnn_plan_destroy(struct cvl_cudnn_plan *plan)
{
    cudnnBackendDescriptor_t parts[] = { plan->plan, plan->config, plan->engine };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i])
            cvl_cudnn()->cudnnBackendDestroyDescriptor(parts[i]);
    for (int i = 0; i < CVL_CUDNN_PAIRS_MAX; i++)
        if (plan->choice[i])
            cvl_cudnn()->cudnnBackendDestroyDescriptor(plan->choice[i]);
    cvl_cudnn_graph_destroy(&plan->graph);
    *plan = (struct cvl_cudnn_plan){ .plan = NULL };
}
