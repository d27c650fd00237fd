/* SPDX-License-Identifier: Apache-2.0
 * The cache at rest, by one process: where it is, what is written when, compaction with a writer or a reader in its
 * midst, and disks that refuse. */
#include "store_fixture.h"

#include "tuner/segments.h"

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
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- places and files ---- */

static void lines_come_back(void **state)
{
    struct cvl_store *store = store_open(here.cache);
    assert_string_equal(cvl_store_path(store), here.cache);
    assert_int_equal(cvl_line_set_count(cvl_store_lines(store)), 0);
    assert_int_equal(cvl_store_sync(store), CVL_OK);
    assert_int_not_equal(access(here.cache, F_OK), 0);
    assert_int_equal(store_add(store, 1), CVL_OK);
    assert_int_equal(cvl_store_sync(store), CVL_OK);
    assert_int_equal(store_add(store, 2), CVL_OK);
    cvl_store_close(store);
    store_holds(here.cache, 1, 2);
    assert_int_equal(fixture_count(here.cache, ".cvl"), 1);
    assert_int_equal(fixture_count(here.cache, ".tmp"), 0);
    assert_int_equal(here.logged.count, 0);
}

static void what_is_known_is_not_written_again(void **state)
{
    store_fill(here.cache, 0, 3);
    store_fill(here.cache, 0, 3);
    assert_int_equal(fixture_count(here.cache, ".cvl"), 1);
    struct cvl_store *store = store_open(here.cache);
    assert_int_equal(cvl_store_add(store, "nonsense", 8), CVL_ECORRUPT);
    cvl_store_close(store);
}

static void a_long_run_begins_new_segments(void **state)
{
    struct cvl_store *store = store_open(here.cache);
    for (int i = 0; i < 600; i++) {
        assert_int_equal(store_add(store, i), CVL_OK);
        if (i % 50 == 49)
            assert_int_equal(cvl_store_sync(store), CVL_OK);
    }
    assert_int_equal(fixture_count(here.cache, ".cvl"), 2);
    cvl_store_close(store);
    store_holds(here.cache, 0, 600);
}

static void no_path_keeps_nothing(void **state)
{
    struct cvl_store *store = store_open("");
    assert_string_equal(cvl_store_path(store), "");
    assert_int_equal(store_add(store, 1), CVL_OK);
    assert_true(store_has(cvl_store_lines(store), 1));
    assert_int_equal(cvl_store_sync(store), CVL_OK);
    cvl_store_close(store);
    assert_int_equal(here.logged.count, 0);
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
        struct cvl_store *store = store_open(NULL);
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
    const char *file = fixture_in(here.folder, "exported.cvl");
    store_fill(here.cache, 0, 5);
    struct cvl_store *store = store_open(here.cache);
    assert_int_equal(cvl_line_set_write(cvl_store_lines(store), file), CVL_OK);
    cvl_store_close(store);
    const struct bytes before = fixture_read(file);
    store = store_open(file);
    assert_true(store_has(cvl_store_lines(store), 4));
    assert_int_equal(store_add(store, 4), CVL_OK);
    assert_int_equal(cvl_store_sync(store), CVL_OK);
    assert_int_equal(store_add(store, 5), CVL_OK);
    assert_true(store_has(cvl_store_lines(store), 5));
    assert_int_equal(cvl_store_sync(store), CVL_EIO);
    char expected[3 * PATH_BYTES];
    snprintf(expected, sizeof expected, "%s is an exported file and read-only", file);
    assert_string_equal(cvl_last_error(), expected);
    cvl_store_close(store);
    assert_int_equal(here.logged.count, 0);
    const struct bytes after = fixture_read(file);
    assert_int_equal(before.count, after.count);
    assert_memory_equal(before.at, after.at, after.count);
    free(before.at);
    free(after.at);
}

static void other_files_are_let_be(void **state)
{
    store_fill(here.cache, 0, 3);
    const struct { const char *name; bool warns; } others[] = {
        { "notes.txt", false }, { ".hidden.cvl", false }, { "x.cvl.0123456789abcdef.tmp", false }, { "mine.cvl", true },
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        fixture_write(fixture_in(here.cache, others[i].name), "not a here.cache\n", 12);
        here.logged.count = 0;
        store_holds(here.cache, 0, 3);
        assert_int_equal(here.logged.count, others[i].warns);
    }
    assert_non_null(strstr(here.logged.last, "mine.cvl: its first line is not"));
    assert_int_equal(unlink(fixture_in(here.cache, "mine.cvl")), 0);
    assert_int_equal(mkdir(fixture_in(here.cache, "folder.cvl"), 0777), 0);
    assert_int_equal(symlink("nowhere", fixture_in(here.cache, "dangling.cvl")), 0);
    here.logged.count = 0;
    store_holds(here.cache, 0, 3);
    assert_int_equal(here.logged.count, 2);
    assert_int_equal(mkfifo(fixture_in(here.cache, "pipe.cvl"), 0666), 0);
    store_holds(here.cache, 0, 3);
}

static void links_are_followed(void **state)
{
    store_fill(here.cache, 0, 3);
    const char *link = fixture_in(here.folder, "link");
    assert_int_equal(symlink("deep/down/cache", link), 0);
    store_fill(link, 3, 3);
    store_holds(here.cache, 0, 6);
    const char *elsewhere = fixture_in(here.folder, "elsewhere.cvl");
    struct cvl_store *store = store_open("");
    assert_int_equal(store_add(store, 6), CVL_OK);
    assert_int_equal(cvl_line_set_write(cvl_store_lines(store), elsewhere), CVL_OK);
    cvl_store_close(store);
    assert_int_equal(symlink(elsewhere, fixture_in(here.cache, "shared.cvl")), 0);
    store_holds(here.cache, 0, 7);
}

/* ---- compaction ---- */

static void many_segments_become_one(void **state)
{
    for (int i = 0; i < CVL_SEGMENTS_FEW; i++)
        store_fill(here.cache, 10 * i, 10);
    assert_int_equal(fixture_count(here.cache, ".cvl"), CVL_SEGMENTS_FEW);
    store_fill(here.cache, 10 * CVL_SEGMENTS_FEW, 10);
    assert_int_equal(fixture_count(here.cache, ".cvl"), 1);
    store_holds(here.cache, 0, 10 * (CVL_SEGMENTS_FEW + 1));
    assert_int_equal(here.logged.count, 0);
}

static void damaged_newer_and_foreign_segments_stay(void **state)
{
    static const char *const others[] = {
        "00000000-1-1-0000000000000001.cvl", "00000000-1-1-0000000000000002.cvl", "mine.cvl",
    };
    store_fill(here.cache, 0, 3);
    fixture_write(fixture_in(here.cache, others[0]), "convlab-cache 1\nbroken\n", 23);
    fixture_write(fixture_in(here.cache, others[1]), "convlab-cache 2\n", 16);
    fixture_write(fixture_in(here.cache, others[2]), "convlab-cache 1\n", 16);
    for (int i = 0; i < CVL_SEGMENTS_FEW; i++)
        store_fill(here.cache, 10 * i, 10);
    for (int i = 0; i < 3; i++)
        assert_int_equal(access(fixture_in(here.cache, others[i]), F_OK), 0);
    assert_int_equal(fixture_count(here.cache, ".cvl"), 4);
    store_holds(here.cache, 0, 10 * CVL_SEGMENTS_FEW);
}

static void old_leavings_are_removed(void **state)
{
    store_fill(here.cache, 0, 1);
    const char *old = fixture_in(here.cache, "00000000-1-1-0000000000000001.cvl.0123456789abcdef.tmp");
    const char *new = fixture_in(here.cache, "00000000-1-1-0000000000000001.cvl.0123456789abcde0.tmp");
    const struct timespec long_ago[2] = { { time(NULL) - 90000, 0 }, { time(NULL) - 90000, 0 } };
    fixture_write(old, "x", 1);
    fixture_write(new, "x", 1);
    assert_int_equal(utimensat(AT_FDCWD, old, long_ago, 0), 0);
    for (int i = 1; i <= CVL_SEGMENTS_FEW; i++)
        store_fill(here.cache, i, 1);
    assert_int_not_equal(access(old, F_OK), 0);
    assert_int_equal(access(new, F_OK), 0);
}

/* A writer syncs between a compaction's reading and its removing, and is gone: the callback runs exactly there. */
struct intruder { struct cvl_store *writer; int next; };

static bool sync_meanwhile(void *arg, enum cvl_line_kind kind, const char *line, size_t length)
{
    struct intruder *intruder = arg;
    assert_int_equal(store_add(intruder->writer, intruder->next++), CVL_OK);
    assert_int_equal(cvl_store_sync(intruder->writer), CVL_OK);
    return true;
}

static void a_sync_during_compaction_is_not_lost(void **state)
{
    store_fill(here.cache, 0, 5);
    struct intruder intruder = { store_open(here.cache), 100 };
    assert_int_equal(store_add(intruder.writer, 99), CVL_OK);
    assert_int_equal(cvl_store_sync(intruder.writer), CVL_OK);
    assert_int_equal(cvl_segments_prune(here.cache, sync_meanwhile, &intruder), CVL_OK);
    assert_int_equal(intruder.next, 106);
    store_holds(here.cache, 0, 5);
    store_holds(here.cache, 99, 7);
    cvl_store_close(intruder.writer);
    store_holds(here.cache, 99, 7);
}

/* A compaction in the middle of a reading: the log runs where a damaged file is met, among files still to be read. */
static void compact_meanwhile(void *arg, cvl_log_level level, const char *sentence)
{
    int *left = arg;
    if ((*left)-- > 0)
        assert_int_equal(cvl_segments_prune(here.cache, store_keep_all, NULL), CVL_OK);
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
        store_fill(here.cache, i, 1);
        snprintf(name, sizeof name, "damaged%d.cvl", i);
        fixture_write(fixture_in(here.cache, name), "convlab-cache 1\nbroken\n", 23);
    }
    struct cvl_store *store;
    assert_int_equal(cvl_store_open(meddling, here.cache, &store), CVL_OK);
    assert_true(left <= 0);
    for (int i = 0; i < FILES; i++)
        assert_true(store_has(cvl_store_lines(store), i));
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
        store_fill(here.cache, 10 * i, 10);
    fixture_write(fixture_in(here.cache, "mine.cvl"), "convlab-cache 1\nbroken\n", 23);
    struct cvl_store *store = store_open(here.cache);
    assert_int_equal(here.logged.count, 1);
    assert_int_equal(cvl_store_prune(store, is_even, NULL), CVL_OK);
    cvl_store_close(store);
    assert_int_equal(fixture_count(here.cache, ".cvl"), 1);
    store = store_open(here.cache);
    assert_int_equal(here.logged.count, 1);
    assert_int_equal(cvl_line_set_count(cvl_store_lines(store)), 20);
    for (int i = 0; i < 40; i++)
        assert_int_equal(store_has(cvl_store_lines(store), i), i % 2 == 0);
    cvl_store_close(store);
}

/* ---- disks that refuse ---- */

static void a_path_below_a_file_is_refused(void **state)
{
    const char *below = fixture_in(here.folder, "file/cache");
    fixture_write(fixture_in(here.folder, "file"), "x", 1);
    struct cvl_store *store = store_open(below);
    assert_int_equal(store_add(store, 1), CVL_OK);
    assert_int_equal(cvl_store_sync(store), CVL_EIO);
    assert_non_null(strstr(cvl_last_error(), fixture_in(here.folder, "file")));
    assert_non_null(strstr(cvl_last_error(), strerror(ENOTDIR)));
    assert_true(store_has(cvl_store_lines(store), 1));
    assert_int_equal(unlink(fixture_in(here.folder, "file")), 0);
    assert_int_equal(cvl_store_sync(store), CVL_OK);
    cvl_store_close(store);
    store_holds(below, 1, 1);
}

static void a_read_only_directory_keeps_its_entries(void **state)
{
    if (geteuid() == 0) {
        print_message("skipped: root writes into read-only directories; see a_path_below_a_file_is_refused\n");
        skip();
    }
    store_fill(here.cache, 0, 3);
    assert_int_equal(chmod(here.cache, 0555), 0);
    struct cvl_store *store = store_open(here.cache);
    assert_int_equal(store_add(store, 3), CVL_OK);
    assert_int_equal(cvl_store_sync(store), CVL_EIO);
    assert_non_null(strstr(cvl_last_error(), here.cache));
    assert_non_null(strstr(cvl_last_error(), strerror(EACCES)));
    cvl_store_close(store);
    assert_int_equal(chmod(here.cache, 0777), 0);
    store_holds(here.cache, 0, 3);
    assert_int_equal(fixture_count(here.cache, ".tmp"), 0);
}

/* A disk that takes no more: the process's own limit on the size of files says the same everywhere. */
static void a_full_disk_loses_nothing(void **state)
{
    struct rlimit before, tight;
    store_fill(here.cache, 0, 3);
    struct cvl_store *store = store_open(here.cache);
    assert_int_equal(store_add(store, 100), CVL_OK);
    assert_int_equal(cvl_store_sync(store), CVL_OK);
    for (int i = 3; i < 40; i++)
        assert_int_equal(store_add(store, i), CVL_OK);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight = before;
    tight.rlim_cur = 1000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    const cvl_status full = cvl_store_sync(store);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(full, CVL_EIO);
    assert_non_null(strstr(cvl_last_error(), here.cache));
    assert_non_null(strstr(cvl_last_error(), strerror(EFBIG)));
    assert_int_equal(fixture_count(here.cache, ".tmp"), 0);
    store_holds(here.cache, 0, 3);
    store_holds(here.cache, 100, 1);
    assert_int_equal(cvl_store_sync(store), CVL_OK);
    cvl_store_close(store);
    store_holds(here.cache, 0, 40);
    assert_int_equal(here.logged.count, 0);
}

int main(void)
{
#define EACH(test) cmocka_unit_test_setup_teardown(test, store_set_up, store_tear_down)
    const struct CMUnitTest tests[] = {
        EACH(lines_come_back), EACH(what_is_known_is_not_written_again), EACH(a_long_run_begins_new_segments),
        EACH(no_path_keeps_nothing), EACH(the_default_place_follows_the_environment),
        EACH(an_exported_file_is_read_only), EACH(other_files_are_let_be), EACH(links_are_followed),
        EACH(many_segments_become_one), EACH(damaged_newer_and_foreign_segments_stay), EACH(old_leavings_are_removed),
        EACH(a_sync_during_compaction_is_not_lost), EACH(a_reading_meets_what_was_compacted_away),
        EACH(prune_drops_and_heals), EACH(a_path_below_a_file_is_refused),
        EACH(a_read_only_directory_keeps_its_entries), EACH(a_full_disk_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
