/* SPDX-License-Identifier: Apache-2.0
 * The cache at rest, under many writers, readers, compactions, deaths and full disks: what a sync answered CVL_OK for is
 * there for whoever opens the cache afterwards, and no file is ever found damaged. */
#include "cache_fixture.h"

#include "tuner/segments.h"
#include "tuner/store.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { WRITERS = 12, LINES_EACH = 30, KILLS = 60, LINES_MAX = 1 << 16 };

static char folder[PATH_BYTES];   /* exists */
static char cache[PATH_BYTES + 32];   /* does not, yet */
static struct fixture_log logged;
static cvl_ctx *ctx;

static int set_up(void **state)
{
    fixture_folder(folder);
    snprintf(cache, sizeof cache, "%s/deep/down/cache", folder);
    ctx = fixture_ctx(&logged);
    return 0;
}

static int tear_down(void **state)
{
    cvl_ctx_destroy(ctx);
    fixture_remove(folder);
    return 0;
}

static struct cvl_store *open_store(const char *path)
{
    struct cvl_store *store;
    assert_int_equal(cvl_store_open(ctx, path, &store), CVL_OK);
    return store;
}

static cvl_status add(struct cvl_store *store, int number)
{
    const struct cvl_record record = fixture_numbered_record(number);
    char line[CVL_LINE_MAX];
    return cvl_store_add(store, line, cvl_record_print(&record, line));
}

static bool has(const struct cvl_line_set *lines, int number)
{
    const struct cvl_record record = fixture_numbered_record(number);
    char line[CVL_LINE_MAX];
    return cvl_line_set_covers(lines, line, cvl_record_print(&record, line));
}

static void fill(const char *path, int first, int count)
{
    struct cvl_store *store = open_store(path);
    for (int i = 0; i < count; i++)
        assert_int_equal(add(store, first + i), CVL_OK);
    assert_int_equal(cvl_store_sync(store), CVL_OK);
    cvl_store_close(store);
}

static void assert_holds(const char *path, int first, int count)
{
    struct cvl_store *store = open_store(path);
    for (int i = 0; i < count; i++)
        if (!has(cvl_store_lines(store), first + i))
            fail_msg("line %d is lost", first + i);
    cvl_store_close(store);
}

/* ---- one process ---- */

static void lines_come_back(void **state)
{
    struct cvl_store *store = open_store(cache);
    assert_string_equal(cvl_store_path(store), cache);
    assert_int_equal(cvl_line_set_count(cvl_store_lines(store)), 0);
    assert_int_equal(cvl_store_sync(store), CVL_OK);
    assert_int_not_equal(access(cache, F_OK), 0);
    assert_int_equal(add(store, 1), CVL_OK);
    assert_int_equal(cvl_store_sync(store), CVL_OK);
    assert_int_equal(add(store, 2), CVL_OK);
    cvl_store_close(store);
    assert_holds(cache, 1, 2);
    assert_int_equal(fixture_count(cache, ".cvl"), 1);
    assert_int_equal(fixture_count(cache, ".tmp"), 0);
    assert_int_equal(logged.count, 0);
}

static void what_is_known_is_not_written_again(void **state)
{
    fill(cache, 0, 3);
    fill(cache, 0, 3);
    assert_int_equal(fixture_count(cache, ".cvl"), 1);
    struct cvl_store *store = open_store(cache);
    assert_int_equal(cvl_store_add(store, "nonsense", 8), CVL_ECORRUPT);
    cvl_store_close(store);
}

static void a_long_run_begins_new_segments(void **state)
{
    struct cvl_store *store = open_store(cache);
    for (int i = 0; i < 600; i++) {
        assert_int_equal(add(store, i), CVL_OK);
        if (i % 50 == 49)
            assert_int_equal(cvl_store_sync(store), CVL_OK);
    }
    assert_int_equal(fixture_count(cache, ".cvl"), 2);
    cvl_store_close(store);
    assert_holds(cache, 0, 600);
}

static void no_path_keeps_nothing(void **state)
{
    struct cvl_store *store = open_store("");
    assert_string_equal(cvl_store_path(store), "");
    assert_int_equal(add(store, 1), CVL_OK);
    assert_true(has(cvl_store_lines(store), 1));
    assert_int_equal(cvl_store_sync(store), CVL_OK);
    cvl_store_close(store);
    assert_int_equal(logged.count, 0);
}

static void the_default_place_follows_the_environment(void **state)
{
    static const struct { const char *cvl_cache, *xdg, *home, *path; } cases[] = {
        { "/a/b", "/x", "/h", "/a/b" }, { NULL, "/x", "/h", "/x/convlab" }, { "", "/x", "/h", "/x/convlab" },
        { NULL, "relative", "/h", "/h/.cache/convlab" }, { NULL, NULL, "/h", "/h/.cache/convlab" },
        { NULL, NULL, NULL, "" },
    };
    static const char *const names[] = { "CVL_CACHE", "XDG_CACHE_HOME", "HOME" };
    char *old[3];
    for (int i = 0; i < 3; i++)
        old[i] = getenv(names[i]) ? strdup(getenv(names[i])) : NULL;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const values[] = { cases[i].cvl_cache, cases[i].xdg, cases[i].home };
        for (int j = 0; j < 3; j++)
            values[j] ? setenv(names[j], values[j], 1) : unsetenv(names[j]);
        struct cvl_store *store = open_store(NULL);
        assert_string_equal(cvl_store_path(store), cases[i].path);
        cvl_store_close(store);
    }
    for (int j = 0; j < 3; j++) {
        old[j] ? setenv(names[j], old[j], 1) : unsetenv(names[j]);
        free(old[j]);
    }
}

static void an_exported_file_is_read_only(void **state)
{
    const char *file = fixture_in(folder, "exported.cvl");
    fill(cache, 0, 5);
    struct cvl_store *store = open_store(cache);
    assert_int_equal(cvl_line_set_write(cvl_store_lines(store), file), CVL_OK);
    cvl_store_close(store);
    const struct bytes before = fixture_read(file);
    store = open_store(file);
    assert_true(has(cvl_store_lines(store), 4));
    assert_int_equal(add(store, 4), CVL_OK);
    assert_int_equal(cvl_store_sync(store), CVL_OK);
    assert_int_equal(add(store, 5), CVL_OK);
    assert_true(has(cvl_store_lines(store), 5));
    assert_int_equal(cvl_store_sync(store), CVL_EIO);
    char expected[3 * PATH_BYTES];
    snprintf(expected, sizeof expected, "%s is an exported file and read-only: what was measured is not stored", file);
    assert_string_equal(cvl_last_error(), expected);
    cvl_store_close(store);
    const struct bytes after = fixture_read(file);
    assert_int_equal(before.count, after.count);
    assert_memory_equal(before.at, after.at, after.count);
    free(before.at);
    free(after.at);
}

static void other_files_are_let_be(void **state)
{
    fill(cache, 0, 3);
    const struct { const char *name; bool warns; } others[] = {
        { "notes.txt", false }, { ".hidden.cvl", false }, { "x.cvl.0123456789abcdef.tmp", false }, { "mine.cvl", true },
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        fixture_write(fixture_in(cache, others[i].name), "not a cache\n", 12);
        logged.count = 0;
        assert_holds(cache, 0, 3);
        assert_int_equal(logged.count, others[i].warns);
    }
    assert_non_null(strstr(logged.last, "mine.cvl: its first line is not"));
    assert_int_equal(unlink(fixture_in(cache, "mine.cvl")), 0);
    assert_int_equal(mkdir(fixture_in(cache, "folder.cvl"), 0777), 0);
    assert_int_equal(symlink("nowhere", fixture_in(cache, "dangling.cvl")), 0);
    logged.count = 0;
    assert_holds(cache, 0, 3);
    assert_int_equal(logged.count, 2);
    assert_int_equal(mkfifo(fixture_in(cache, "pipe.cvl"), 0666), 0);
    assert_holds(cache, 0, 3);
}

static void links_are_followed(void **state)
{
    fill(cache, 0, 3);
    const char *link = fixture_in(folder, "link");
    assert_int_equal(symlink("deep/down/cache", link), 0);
    fill(link, 3, 3);
    assert_holds(cache, 0, 6);
    const char *elsewhere = fixture_in(folder, "elsewhere.cvl");
    struct cvl_store *store = open_store("");
    assert_int_equal(add(store, 6), CVL_OK);
    assert_int_equal(cvl_line_set_write(cvl_store_lines(store), elsewhere), CVL_OK);
    cvl_store_close(store);
    assert_int_equal(symlink(elsewhere, fixture_in(cache, "shared.cvl")), 0);
    assert_holds(cache, 0, 7);
}

/* ---- compaction ---- */

static void many_segments_become_one(void **state)
{
    for (int i = 0; i < CVL_SEGMENTS_FEW; i++)
        fill(cache, 10 * i, 10);
    assert_int_equal(fixture_count(cache, ".cvl"), CVL_SEGMENTS_FEW);
    fill(cache, 10 * CVL_SEGMENTS_FEW, 10);
    assert_int_equal(fixture_count(cache, ".cvl"), 1);
    assert_holds(cache, 0, 10 * (CVL_SEGMENTS_FEW + 1));
    assert_int_equal(logged.count, 0);
}

static void damaged_newer_and_foreign_segments_stay(void **state)
{
    static const char *const others[] = {
        "00000000-1-1-0000000000000001.cvl", "00000000-1-1-0000000000000002.cvl", "mine.cvl",
    };
    fill(cache, 0, 3);
    fixture_write(fixture_in(cache, others[0]), "convlab-cache 1\nbroken\n", 23);
    fixture_write(fixture_in(cache, others[1]), "convlab-cache 2\n", 16);
    fixture_write(fixture_in(cache, others[2]), "convlab-cache 1\n", 16);
    for (int i = 0; i < CVL_SEGMENTS_FEW; i++)
        fill(cache, 10 * i, 10);
    for (int i = 0; i < 3; i++)
        assert_int_equal(access(fixture_in(cache, others[i]), F_OK), 0);
    assert_int_equal(fixture_count(cache, ".cvl"), 4);
    assert_holds(cache, 0, 10 * CVL_SEGMENTS_FEW);
}

static void old_leavings_are_removed(void **state)
{
    fill(cache, 0, 1);
    const char *old = fixture_in(cache, "00000000-1-1-0000000000000001.cvl.0123456789abcdef.tmp");
    const char *new = fixture_in(cache, "00000000-1-1-0000000000000001.cvl.0123456789abcde0.tmp");
    const struct timespec long_ago[2] = { { time(NULL) - 90000, 0 }, { time(NULL) - 90000, 0 } };
    fixture_write(old, "x", 1);
    fixture_write(new, "x", 1);
    assert_int_equal(utimensat(AT_FDCWD, old, long_ago, 0), 0);
    for (int i = 1; i <= CVL_SEGMENTS_FEW; i++)
        fill(cache, i, 1);
    assert_int_not_equal(access(old, F_OK), 0);
    assert_int_equal(access(new, F_OK), 0);
}

/* A writer syncs between a compaction's reading and its removing, and is gone: the callback runs exactly there. */
struct intruder { struct cvl_store *writer; int next; };

static bool sync_meanwhile(void *arg, enum cvl_line_kind kind, const char *line, size_t length)
{
    struct intruder *intruder = arg;
    assert_int_equal(add(intruder->writer, intruder->next++), CVL_OK);
    assert_int_equal(cvl_store_sync(intruder->writer), CVL_OK);
    return true;
}

static void a_sync_during_compaction_is_not_lost(void **state)
{
    fill(cache, 0, 5);
    struct intruder intruder = { open_store(cache), 100 };
    assert_int_equal(add(intruder.writer, 99), CVL_OK);
    assert_int_equal(cvl_store_sync(intruder.writer), CVL_OK);
    assert_int_equal(cvl_segments_prune(cache, sync_meanwhile, &intruder), CVL_OK);
    assert_int_equal(intruder.next, 106);
    assert_holds(cache, 0, 5);
    assert_holds(cache, 99, 7);
    cvl_store_close(intruder.writer);
    assert_holds(cache, 99, 7);
}

/* A compaction in the middle of a reading: the log runs where a damaged file is met, among files still to be read. */
static bool keep_all(void *arg, enum cvl_line_kind kind, const char *line, size_t length)
{
    return true;
}

static void compact_meanwhile(void *arg, cvl_log_level level, const char *sentence)
{
    int *left = arg;
    if ((*left)-- > 0)
        assert_int_equal(cvl_segments_prune(cache, keep_all, NULL), CVL_OK);
}

static void a_reading_meets_what_was_compacted_away(void **state)
{
    enum { FILES = CVL_SEGMENTS_FEW - 1 };
    cvl_ctx_options options;
    cvl_ctx *meddling;
    int left = 1;
    cvl_ctx_options_init(&options);
    options.log = compact_meanwhile;
    options.log_arg = &left;
    assert_int_equal(cvl_ctx_create(&options, &meddling), CVL_OK);
    for (int i = 0; i < FILES; i++) {
        char name[32];
        fill(cache, i, 1);
        snprintf(name, sizeof name, "damaged%d.cvl", i);
        fixture_write(fixture_in(cache, name), "convlab-cache 1\nbroken\n", 23);
    }
    struct cvl_store *store;
    assert_int_equal(cvl_store_open(meddling, cache, &store), CVL_OK);
    assert_true(left <= 0);
    for (int i = 0; i < FILES; i++)
        assert_true(has(cvl_store_lines(store), i));
    cvl_store_close(store);
    cvl_ctx_destroy(meddling);
}

static bool is_even(void *arg, enum cvl_line_kind kind, const char *line, size_t length)
{
    struct cvl_record record;
    assert_int_equal(cvl_record_parse(line, length, &record), CVL_OK);
    return record.when % 2 == 0;
}

static void prune_drops_and_heals(void **state)
{
    for (int i = 0; i < 4; i++)
        fill(cache, 10 * i, 10);
    fixture_write(fixture_in(cache, "mine.cvl"), "convlab-cache 1\nbroken\n", 23);
    struct cvl_store *store = open_store(cache);
    assert_int_equal(logged.count, 1);
    assert_int_equal(cvl_store_prune(store, is_even, NULL), CVL_OK);
    cvl_store_close(store);
    assert_int_equal(fixture_count(cache, ".cvl"), 1);
    store = open_store(cache);
    assert_int_equal(logged.count, 1);
    assert_int_equal(cvl_line_set_count(cvl_store_lines(store)), 20);
    for (int i = 0; i < 40; i++)
        assert_int_equal(has(cvl_store_lines(store), i), i % 2 == 0);
    cvl_store_close(store);
}

/* ---- disks that refuse ---- */

static void a_path_below_a_file_is_refused(void **state)
{
    const char *below = fixture_in(folder, "file/cache");
    fixture_write(fixture_in(folder, "file"), "x", 1);
    struct cvl_store *store = open_store(below);
    assert_int_equal(add(store, 1), CVL_OK);
    assert_int_equal(cvl_store_sync(store), CVL_EIO);
    assert_non_null(strstr(cvl_last_error(), fixture_in(folder, "file")));
    assert_non_null(strstr(cvl_last_error(), strerror(ENOTDIR)));
    assert_true(has(cvl_store_lines(store), 1));
    assert_int_equal(unlink(fixture_in(folder, "file")), 0);
    assert_int_equal(cvl_store_sync(store), CVL_OK);
    cvl_store_close(store);
    assert_holds(below, 1, 1);
}

static void a_read_only_directory_keeps_its_entries(void **state)
{
    if (geteuid() == 0) {
        print_message("skipped: root writes into read-only directories; see a_path_below_a_file_is_refused\n");
        skip();
    }
    fill(cache, 0, 3);
    assert_int_equal(chmod(cache, 0555), 0);
    struct cvl_store *store = open_store(cache);
    assert_int_equal(add(store, 3), CVL_OK);
    assert_int_equal(cvl_store_sync(store), CVL_EIO);
    assert_non_null(strstr(cvl_last_error(), cache));
    assert_non_null(strstr(cvl_last_error(), strerror(EACCES)));
    cvl_store_close(store);
    assert_int_equal(chmod(cache, 0777), 0);
    assert_holds(cache, 0, 3);
    assert_int_equal(fixture_count(cache, ".tmp"), 0);
}

/* A disk that takes no more: the process's own limit on the size of files says the same everywhere. */
static void a_full_disk_loses_nothing(void **state)
{
    struct rlimit before, tight;
    fill(cache, 0, 3);
    struct cvl_store *store = open_store(cache);
    assert_int_equal(add(store, 100), CVL_OK);
    assert_int_equal(cvl_store_sync(store), CVL_OK);
    for (int i = 3; i < 40; i++)
        assert_int_equal(add(store, i), CVL_OK);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight = before;
    tight.rlim_cur = 1000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    const cvl_status full = cvl_store_sync(store);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(full, CVL_EIO);
    assert_non_null(strstr(cvl_last_error(), cache));
    assert_non_null(strstr(cvl_last_error(), strerror(EFBIG)));
    assert_int_equal(fixture_count(cache, ".tmp"), 0);
    assert_holds(cache, 0, 3);
    assert_holds(cache, 100, 1);
    assert_int_equal(cvl_store_sync(store), CVL_OK);
    cvl_store_close(store);
    assert_holds(cache, 0, 40);
    assert_int_equal(logged.count, 0);
}

/* ---- many processes ---- */

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
    struct cvl_store *store = open_store(cache);
    for (int i = 0; i < LINES_MAX; i++) {
        count += crowd->acked[i];
        if (crowd->acked[i] && !has(cvl_store_lines(store), i))
            fail_msg("line %d was synced and is not there", i);
    }
    cvl_store_close(store);
    if (logged.count)
        fail_msg("%s", logged.last);
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
        if (!store && cvl_store_open(ctx, cache, &store) != CVL_OK)
            return 2;
        if (add(store, number) != CVL_OK || cvl_store_sync(store) != CVL_OK)
            return 3;
        if (write(acks, &number, sizeof number) != (ssize_t)sizeof number)
            return 4;
        if (i % lines_an_opening == lines_an_opening - 1) {
            cvl_store_close(store);
            store = NULL;
        }
    }
    cvl_store_close(store);
    return logged.count ? 5 : 0;
}

static int writer(int acks, int which)
{
    return write_lines(acks, which * LINES_EACH, LINES_EACH, 1 + which % 7);
}

/* Prune takes no lock, so that two of these meet each other in every step. */
static int compactor(int acks, int which)
{
    for (int i = 0; i < 25; i++)
        if (cvl_segments_prune(cache, keep_all, NULL) != CVL_OK)
            return 2;
    return 0;
}

static void run_crowd(bool compacting)
{
    struct crowd *crowd = begin_crowd();
    fill(cache, LINES_MAX - 10, 5);
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
    assert_int_equal(fixture_count(cache, ".tmp"), 0);
    print_message("%d lines of %d writers, read %d times meanwhile\n", WRITERS * LINES_EACH, WRITERS, openings);
    assert_holds(cache, LINES_MAX - 10, 5);
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
        if (add(shared, 200 + i) != CVL_OK || cvl_store_sync(shared) != CVL_OK)
            return 2;
    return 0;
}

static void a_forked_child_has_its_own_segment(void **state)
{
    struct crowd *crowd = begin_crowd();
    shared = open_store(cache);
    assert_int_equal(add(shared, 0), CVL_OK);
    assert_int_equal(cvl_store_sync(shared), CVL_OK);
    begin_child(crowd, forked_writer, 0);
    for (int i = 1; i < 10; i++) {
        assert_int_equal(add(shared, i), CVL_OK);
        assert_int_equal(cvl_store_sync(shared), CVL_OK);
    }
    while (reap(crowd, 0))
        nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
    cvl_store_close(shared);
    assert_holds(cache, 0, 10);
    assert_holds(cache, 200, 10);
    end_crowd(crowd);
}

int main(void)
{
#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        EACH(lines_come_back), EACH(what_is_known_is_not_written_again), EACH(a_long_run_begins_new_segments),
        EACH(no_path_keeps_nothing), EACH(the_default_place_follows_the_environment),
        EACH(an_exported_file_is_read_only), EACH(other_files_are_let_be), EACH(links_are_followed),
        EACH(many_segments_become_one), EACH(damaged_newer_and_foreign_segments_stay), EACH(old_leavings_are_removed),
        EACH(a_sync_during_compaction_is_not_lost), EACH(a_reading_meets_what_was_compacted_away),
        EACH(prune_drops_and_heals), EACH(a_path_below_a_file_is_refused),
        EACH(a_read_only_directory_keeps_its_entries), EACH(a_full_disk_loses_nothing),
        EACH(many_writers_lose_nothing), EACH(compaction_among_writers_loses_nothing), EACH(a_killed_writer_loses_nothing_synced),
        EACH(a_forked_child_has_its_own_segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
