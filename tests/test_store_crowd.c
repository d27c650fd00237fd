/* SPDX-License-Identifier: Apache-2.0
 * The cache at rest, under many writers, readers, compactions and deaths at once: what a sync answered CVL_OK for is
 * there for whoever opens the cache afterwards, and no file is ever found damaged. */
#include "store_fixture.h"

#include "tuner/segments.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { WRITERS = 12, LINES_EACH = 30, KILLS = 60, LINES_MAX = 1 << 16 };

/* Writers acknowledge each synced line through a pipe, and die or end as they like. */
struct crowd { int pipe[2]; pid_t child[64]; int count; bool acked[LINES_MAX]; };

static struct crowd *begin_crowd(void)
{
    struct crowd *crowd = calloc(1, sizeof *crowd);
    assert_non_null(crowd);
    assert_int_equal(pipe2(crowd->pipe, O_CLOEXEC), 0);
    assert_int_equal(fcntl(crowd->pipe[0], F_SETFL, O_NONBLOCK), 0);
    return crowd;
}

typedef int child_fn(int acks, int which);   /* its exit status */

static void begin_child(struct crowd *crowd, child_fn *fn, int which)
{
    fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(fn(crowd->pipe[1], which));
    crowd->child[crowd->count++] = child;
}

static void take_acks(struct crowd *crowd)
{
    int numbers[256];
    ssize_t got;
    while ((got = read(crowd->pipe[0], numbers, sizeof numbers)) > 0)
        for (size_t i = 0; i < (size_t)got / sizeof *numbers; i++) {
            assert_in_range(numbers[i], 0, LINES_MAX - 1);
            crowd->acked[numbers[i]] = true;
        }
}

/* Everything acknowledged before the cache is opened is in it, and no file is damaged. */
static int check_acked(struct crowd *crowd)
{
    int count = 0;
    take_acks(crowd);
    struct cvl_store *store = store_open(here.cache);
    for (int i = 0; i < LINES_MAX; i++) {
        count += crowd->acked[i];
        if (crowd->acked[i] && !store_has(cvl_store_lines(store), i))
            fail_msg("line %d was synced and is not there", i);
    }
    cvl_store_close(store);
    if (here.logged.count)
        fail_msg("%s", here.logged.last);
    return count;
}

static bool reap(struct crowd *crowd, int expected_signal)
{
    for (int i = 0; i < crowd->count; i++) {
        int status;
        const pid_t ended = waitpid(crowd->child[i], &status, WNOHANG);
        if (ended == 0)
            continue;
        const bool right = expected_signal ? WIFSIGNALED(status) && WTERMSIG(status) == expected_signal
                                           : WIFEXITED(status) && WEXITSTATUS(status) == 0;
        if (!right)
            fail_msg("a child ended with status %x", (unsigned)status);
        crowd->child[i--] = crowd->child[--crowd->count];
    }
    return crowd->count > 0;
}

static void end_crowd(struct crowd *crowd)
{
    close(crowd->pipe[0]);
    close(crowd->pipe[1]);
    free(crowd);
}

/* Opens anew for every few lines, so that segments are many and closing compacts. */
static int write_lines(int acks, int first, int count, int lines_an_opening)
{
    struct cvl_store *store = NULL;
    for (int i = 0; i < count; i++) {
        const int number = first + i;
        if (!store && cvl_store_open(here.ctx, here.cache, &store) != CVL_OK)
            return 2;
        if (store_add(store, number) != CVL_OK || cvl_store_sync(store) != CVL_OK)
            return 3;
        if (write(acks, &number, sizeof number) != (ssize_t)sizeof number)
            return 4;
        if (i % lines_an_opening == lines_an_opening - 1) {
            cvl_store_close(store);
            store = NULL;
        }
    }
    cvl_store_close(store);
    return here.logged.count ? 5 : 0;
}

static int writer(int acks, int which)
{
    return write_lines(acks, which * LINES_EACH, LINES_EACH, 1 + which % 7);
}

/* Prune takes no lock, so that two of these meet each other in every step. */
static int compactor(int acks, int which)
{
    for (int i = 0; i < 25; i++)
        if (cvl_segments_prune(here.cache, store_keep_all, NULL) != CVL_OK)
            return 2;
    return 0;
}

static void run_crowd(bool compacting)
{
    struct crowd *crowd = begin_crowd();
    store_fill(here.cache, LINES_MAX - 10, 5);
    for (int i = 0; i < WRITERS; i++)
        begin_child(crowd, writer, i);
    for (int i = 0; i < 3 && compacting; i++)
        begin_child(crowd, compactor, i);
    int openings = 0;
    while (reap(crowd, 0)) {
        check_acked(crowd);
        openings++;
    }
    assert_int_equal(check_acked(crowd), WRITERS * LINES_EACH);
    assert_int_equal(fixture_count(here.cache, ".tmp"), 0);
    print_message("%d lines of %d writers, read %d times meanwhile\n", WRITERS * LINES_EACH, WRITERS, openings);
    store_holds(here.cache, LINES_MAX - 10, 5);
    end_crowd(crowd);
}

static void many_writers_lose_nothing(void **state) { run_crowd(false); }
static void compaction_among_writers_loses_nothing(void **state) { run_crowd(true); }

static int endless_writer(int acks, int which)
{
    const int status = write_lines(acks, which * 1000, 1000, 8);
    while (status == 0)
        pause();
    return status;
}

static void a_killed_writer_loses_nothing_synced(void **state)
{
    struct cvl_random random = fixture_random();
    struct crowd *crowd = begin_crowd();
    for (int i = 0; i < KILLS; i++) {
        const struct timespec pause = { 0, 1000 * (long)cvl_random_below(&random, 30000) };
        begin_child(crowd, endless_writer, i);
        nanosleep(&pause, NULL);
        assert_int_equal(kill(crowd->child[0], SIGKILL), 0);
        while (reap(crowd, SIGKILL))
            nanosleep(&(struct timespec){ 0, 100000 }, NULL);
        check_acked(crowd);
    }
    print_message("%d lines synced by %d writers that were killed\n", check_acked(crowd), KILLS);
    end_crowd(crowd);
}

/* Parent and child go on with one store. */
static struct cvl_store *shared;

static int forked_writer(int acks, int which)
{
    for (int i = 0; i < 10; i++)
        if (store_add(shared, 200 + i) != CVL_OK || cvl_store_sync(shared) != CVL_OK)
            return 2;
    return 0;
}

static void a_forked_child_has_its_own_segment(void **state)
{
    struct crowd *crowd = begin_crowd();
    shared = store_open(here.cache);
    assert_int_equal(store_add(shared, 0), CVL_OK);
    assert_int_equal(cvl_store_sync(shared), CVL_OK);
    begin_child(crowd, forked_writer, 0);
    for (int i = 1; i < 10; i++) {
        assert_int_equal(store_add(shared, i), CVL_OK);
        assert_int_equal(cvl_store_sync(shared), CVL_OK);
    }
    while (reap(crowd, 0))
        nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
    cvl_store_close(shared);
    store_holds(here.cache, 0, 10);
    store_holds(here.cache, 200, 10);
    end_crowd(crowd);
}

int main(void)
{
#define EACH(test) cmocka_unit_test_setup_teardown(test, store_set_up, store_tear_down)
    const struct CMUnitTest tests[] = {
        EACH(many_writers_lose_nothing), EACH(compaction_among_writers_loses_nothing),
        EACH(a_killed_writer_loses_nothing_synced), EACH(a_forked_child_has_its_own_segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
