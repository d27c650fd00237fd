/* SPDX-License-Identifier: Apache-2.0
 * cvl_parallel_for: every task once, slots within bounds and never shared, on OpenMP, on a host's pool, and from
 * several threads of the caller at once. */
#include "base/clock.h"
#include "base/ctx.h"
#include "base/threads.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { TASKS_MAX = 1000, SLOTS_MAX = 8 };

/* What one loop saw. Tasks run on threads that cmocka knows nothing of, so they count and the test asserts. */
struct record {
    atomic_int ran[TASKS_MAX];
    atomic_int inside[SLOTS_MAX];
    atomic_int bad_tasks, bad_slots, shared_slots;
    int        tasks, slots;
    double     seconds;               /* that a task takes, so that several run at once */
};

static void record_task(int task, int slot, void *arg)
{
    struct record *record = arg;
    if (task < 0 || task >= record->tasks) {
        atomic_fetch_add(&record->bad_tasks, 1);
        return;
    }
    atomic_fetch_add(&record->ran[task], 1);
    if (slot < 0 || slot >= record->slots) {
        atomic_fetch_add(&record->bad_slots, 1);
        return;
    }
    if (atomic_fetch_add(&record->inside[slot], 1) != 0)
        atomic_fetch_add(&record->shared_slots, 1);
    for (const double end = cvl_now() + record->seconds; cvl_now() < end;)
        ;
    atomic_fetch_sub(&record->inside[slot], 1);
}

static void clear(struct record *record, int tasks, int slots, double seconds)
{
    memset(record, 0, sizeof *record);
    record->tasks = tasks;
    record->slots = slots;
    record->seconds = seconds;
}

static bool is_good(struct record *record)
{
    bool good = record->bad_tasks == 0 && record->bad_slots == 0 && record->shared_slots == 0;
    for (int i = 0; i < record->tasks; i++)
        good = good && record->ran[i] == 1;
    return good;
}

static cvl_ctx *make_ctx(int threads, cvl_pool_fn *pool_fn, void *pool)
{
    cvl_ctx_options options;
    cvl_ctx *ctx;
    cvl_ctx_options_init(&options);
    options.threads = threads;
    options.parallel_for = pool_fn;
    options.pool = pool;
    assert_int_equal(cvl_ctx_create(&options, &ctx), CVL_OK);
    return ctx;
}

static void every_task_runs_once(void **state)
{
    static struct record record;
    static const int counts[] = { 0, 1, 2, 3, 1000 };
    for (int threads = 1; threads <= 4; threads++) {
        cvl_ctx *ctx = make_ctx(threads, NULL, NULL);
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            clear(&record, counts[i], threads, counts[i] <= 3 ? 2e-3 : 2e-6);
            cvl_parallel_for(ctx, counts[i], record_task, &record);
            assert_true(is_good(&record));
        }
        cvl_ctx_destroy(ctx);
    }
}

/* A host's pool: serial, from the last task to the first, in slot 1. */
struct host { int loops, tasks; };

static void run_backwards(void *pool, int tasks, cvl_task_fn *fn, void *arg)
{
    struct host *host = pool;
    host->loops++;
    host->tasks += tasks;
    for (int task = tasks - 1; task >= 0; task--)
        fn(task, 1, arg);
}

static void host_pool_is_used(void **state)
{
    static struct record record;
    struct host host = { 0, 0 };
    cvl_ctx *ctx = make_ctx(2, run_backwards, &host);
    clear(&record, 100, 2, 0);
    cvl_parallel_for(ctx, 100, record_task, &record);
    assert_true(is_good(&record));
    assert_int_equal(host.loops, 1);
    assert_int_equal(host.tasks, 100);
    cvl_ctx_destroy(ctx);
}

static void all_processors_by_default(void **state)
{
    cvl_ctx *ctx = make_ctx(0, NULL, NULL);
    assert_true(cvl_threads_available() >= 1);
    assert_int_equal(cvl_ctx_threads(ctx), cvl_threads_available());
    cvl_ctx_destroy(ctx);
}

/* Two threads of the caller share one ctx; each loop has slots of its own. */
struct user { const cvl_ctx *ctx; bool good; };

static void *use(void *arg)
{
    struct user *user = arg;
    struct record *record = calloc(1, sizeof *record);
    user->good = true;
    for (int i = 0; i < 50; i++) {
        clear(record, 20, cvl_ctx_threads(user->ctx), 1e-5);
        cvl_parallel_for(user->ctx, 20, record_task, record);
        user->good = user->good && is_good(record);
    }
    free(record);
    return NULL;
}

static void many_users_at_once(void **state)
{
    enum { USERS = 2 };
    cvl_ctx *ctx = make_ctx(3, NULL, NULL);
    struct user users[USERS];
    pthread_t threads[USERS];
    for (int i = 0; i < USERS; i++) {
        users[i] = (struct user){ ctx, false };
        assert_int_equal(pthread_create(&threads[i], NULL, use, &users[i]), 0);
    }
    for (int i = 0; i < USERS; i++) {
        pthread_join(threads[i], NULL);
        assert_true(users[i].good);
    }
    cvl_ctx_destroy(ctx);
}

/* A loop inside of a task, as a host does that calls cvl from its own tasks. */
struct nest { const cvl_ctx *inner; atomic_int ran; };

static void count_task(int task, int slot, void *arg)
{
    struct nest *nest = arg;
    atomic_fetch_add(&nest->ran, 1);
}

static void nest_task(int task, int slot, void *arg)
{
    struct nest *nest = arg;
    cvl_parallel_for(nest->inner, 10, count_task, nest);
}

static void loops_nest(void **state)
{
    cvl_ctx *ctx = make_ctx(3, NULL, NULL);
    struct nest nest = { ctx, 0 };
    cvl_parallel_for(ctx, 10, nest_task, &nest);
    assert_int_equal(nest.ran, 100);
    cvl_ctx_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_runs_once), cmocka_unit_test(host_pool_is_used),
        cmocka_unit_test(all_processors_by_default), cmocka_unit_test(many_users_at_once), cmocka_unit_test(loops_nest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
