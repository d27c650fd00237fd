/* SPDX-License-Identifier: Apache-2.0
 * A tuner's life, and the way to what it already knows: known answers are read from the plan table without a lock,
 * everything else happens under the tuner's mutex (tuner/answer.c). */
#include "tuner/answer.h"

#include "base/alloc.h"
#include "tuner/environment.h"
#include "tuner/model.h"
#include "tuner/tuner_options.h"

#include <stdlib.h>
#include <string.h>

static char *copy_text(const char *text)
{
    return text ? strdup(text) : NULL;
}

static cvl_status complete_options(const cvl_tuner_options *options, cvl_tuner_options *all)
{
    cvl_tuner_options_init(all);
    if (!options)
        return CVL_OK;
    const cvl_status status = cvl_complete("cvl_tuner_options", options, all, sizeof *all);
    if (status != CVL_OK)
        return status;
    if ((unsigned)all->mode > CVL_MODE_FROZEN)
        return cvl_fail(CVL_EINVAL, "mode is %d, expected a cvl_mode", (int)all->mode);
    if ((unsigned)all->state > CVL_COLD)
        return cvl_fail(CVL_EINVAL, "state is %d, expected a cvl_state", (int)all->state);
    if (all->retune && all->mode != CVL_MODE_TUNE)
        return cvl_fail(CVL_EINVAL, "retune is set in mode %s, expected mode tune", cvl_mode_name(all->mode));
    if (!(all->budget_s >= 0))
        return cvl_fail(CVL_EINVAL, "budget_s is %g, expected seconds from 0", all->budget_s);
    return CVL_OK;
}

cvl_status cvl_tuner_open(cvl_ctx *ctx, const cvl_tuner_options *options, cvl_tuner **tuner)
{
    cvl_tuner *made = NULL;
    cvl_tuner_options all;
    *tuner = NULL;
    cvl_status status = cvl_tuner_environment_check();
    if (status == CVL_OK)
        status = complete_options(options, &all);
    if (status != CVL_OK)
        return status;
    made = cvl_calloc(1, sizeof *made);
    if (!made)
        return cvl_fail(CVL_ENOMEM, "no memory for a tuner");
    pthread_mutex_init(&made->mutex, NULL);
    made->ctx = ctx;
    made->options = all;
    made->options.cache_path = NULL;
    made->options.command = copy_text(all.command);
    cvl_query_init(&made->no_limits);
    made->no_limits.deny = copy_text(made->no_limits.deny);
    made->environment = cvl_environment_of(ctx);
    made->environment_id = cvl_environment_id(&made->environment);
    made->budget_s = all.budget_s;
    status = cvl_plan_table_create(&made->table);
    if (status == CVL_OK)
        status = cvl_store_open(ctx, all.cache_path, &made->store);
    if (status != CVL_OK) {
        cvl_tuner_close(made);
        return status;
    }
    cvl_environment_warn(ctx, &made->environment, cvl_store_lines(made->store), cvl_store_path(made->store));
    *tuner = made;
    return CVL_OK;
}

cvl_status cvl_tuner_store_status(const cvl_tuner *tuner)
{
    return atomic_load(&tuner->store_failed) ? cvl_fail(CVL_EIO, "%s", tuner->store_failure) : CVL_OK;
}

cvl_status cvl_tuner_close(cvl_tuner *tuner)
{
    if (!tuner)
        return CVL_OK;
    cvl_plan_table_destroy(tuner->table);
    cvl_model_destroy(tuner->model);
    cvl_store_close(tuner->store);
    const cvl_status status = cvl_tuner_store_status(tuner);
    pthread_mutex_destroy(&tuner->mutex);
    free((char *)tuner->options.command);
    free((char *)tuner->no_limits.deny);
    cvl_free(tuner);
    return status;
}

void cvl_tuner_set_budget(cvl_tuner *tuner, double seconds)
{
    pthread_mutex_lock(&tuner->mutex);
    tuner->budget_s = seconds > 0 ? seconds : 0;
    atomic_store(&tuner->budget_stopped, false);
    atomic_fetch_add(&tuner->budget, 1);
    pthread_mutex_unlock(&tuner->mutex);
}

/* The caller's structs may be of an older version: completed, checked, and then looked up again under the mutex. */
static cvl_status resolve(cvl_tuner *tuner, const cvl_conv_desc *desc, const cvl_query *query,
                          const struct cvl_plan_entry **entry)
{
    cvl_conv_desc problem;
    cvl_query limits = tuner->no_limits;
    struct cvl_plan_key key;
    cvl_status status = cvl_conv_desc_complete(desc, &problem);
    if (status == CVL_OK)
        status = cvl_conv_check(&problem);
    if (status == CVL_OK && query)
        status = cvl_complete("cvl_query", query, &limits, sizeof limits);
    if (status != CVL_OK)
        return status;
    if (!(limits.max_error >= 0))
        return cvl_fail(CVL_EINVAL, "max_error is %g, expected a number from 0", limits.max_error);
    cvl_plan_key_of(&problem, &limits, &key);
    pthread_mutex_lock(&tuner->mutex);
    *entry = cvl_plan_table_find(tuner->table, &key);
    if (!*entry || !cvl_tuner_is_settled(tuner, *entry))
        status = cvl_tuner_answer(tuner, &problem, &limits, &key, entry);
    pthread_mutex_unlock(&tuner->mutex);
    return status;
}

static cvl_status look_up(cvl_tuner *tuner, const cvl_conv_desc *desc, const cvl_query *query,
                          const struct cvl_plan_entry **entry)
{
    struct cvl_plan_key key;
    const bool current = desc && desc->size == sizeof *desc && (!query || query->size == sizeof *query);
    if (current) {
        cvl_plan_key_of(desc, query ? query : &tuner->no_limits, &key);
        *entry = cvl_plan_table_find(tuner->table, &key);
        if (*entry && cvl_tuner_is_settled(tuner, *entry))
            return CVL_OK;
    }
    return resolve(tuner, desc, query, entry);
}

cvl_status cvl_tuner_plan(cvl_tuner *tuner, const cvl_conv_desc *desc, const cvl_query *query, const cvl_plan **plan)
{
    const struct cvl_plan_entry *entry;
    *plan = NULL;
    const cvl_status status = look_up(tuner, desc, query, &entry);
    if (status != CVL_OK)
        return status;
    *plan = entry->plan;
    return entry->status == CVL_OK ? CVL_OK : cvl_fail(entry->status, "%s", entry->message);
}

cvl_status cvl_tuner_results(cvl_tuner *tuner, const cvl_conv_desc *desc, const cvl_query *query, cvl_result *results,
                             int max, int *count)
{
    const struct cvl_plan_entry *entry;
    *count = 0;
    const cvl_status status = look_up(tuner, desc, query, &entry);
    if (status != CVL_OK)
        return status;
    *count = entry->count;
    for (int i = 0; i < entry->count && i < max; i++)
        results[i] = entry->results[i];
    return CVL_OK;
}

cvl_status cvl_tuner_regret(cvl_tuner *tuner, const cvl_conv_desc *desc, const cvl_query *query, double *regret)
{
    const struct cvl_plan_entry *entry;
    *regret = 0;
    const cvl_status status = look_up(tuner, desc, query, &entry);
    if (status != CVL_OK)
        return status;
    *regret = entry->regret;
    return entry->status == CVL_OK ? CVL_OK : cvl_fail(entry->status, "%s", entry->message);
}
