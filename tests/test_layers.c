/* SPDX-License-Identifier: Apache-2.0
 * Caches laid one over another: who answers, what is written where, and how a list of them is read. */
#include "store_fixture.h"

#include "conv/registry.h"
#include "tuner/layers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { HERE = 5 };

static void add(struct cvl_line_set *set, const char *problem, const char *candidate, double ms, int revision_change)
{
    const struct cvl_algo *algo = cvl_algo_find(candidate, strcspn(candidate, ":"));
    char line[CVL_LINE_MAX];
    struct cvl_record record = { .environment = HERE, .samples = 9, .median_ms = ms, .rel_error = 0, .l2_error = 0 };
    assert_non_null(algo);
    record.revision = algo->revision + revision_change;
    snprintf(record.problem, sizeof record.problem, "%s", problem);
    snprintf(record.candidate, sizeof record.candidate, "%s", candidate);
    const size_t length = cvl_record_print(&record, line);
    assert_int_equal(cvl_line_set_add(set, line, length, NULL), CVL_OK);
}

/* The records of a problem, as "candidate=ms " in the order of the lines. */
static const char *known(const struct cvl_line_set *set, const char *problem)
{
    static char text[512];
    struct cvl_line lines[8];
    struct cvl_record record;
    const int count = cvl_line_set_records(set, CVL_HOT, problem, lines, 8);
    text[0] = '\0';
    for (int i = 0; i < count; i++) {
        assert_int_equal(cvl_record_parse(lines[i].text, lines[i].length, &record), CVL_OK);
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s=%g ", record.candidate, record.median_ms);
    }
    return text;
}

static void test_the_uppermost_that_knows_a_problem_answers(void **state)
{
    struct cvl_line_set *upper = fixture_set(), *lower = fixture_set();
    add(upper, "both", "direct", 5, 0);
    add(upper, "stale", "direct", 5, 1);      /* a merge would keep it */
    add(lower, "stale", "direct", 4, 0);
    add(lower, "both", "im2col", 1, 0);       /* faster, and not looked at */
    add(lower, "both", "direct", 2, 0);
    add(lower, "stale", "im2col", 1, 0);
    add(lower, "below", "direct", 3, 0);
    assert_int_equal(cvl_layers_lay_under(&upper, lower), CVL_OK);
    assert_string_equal(known(upper, "both"), "direct=5 ");
    assert_string_equal(known(upper, "stale"), "direct=4 im2col=1 ");
    assert_string_equal(known(upper, "below"), "direct=3 ");
    cvl_line_set_destroy(upper);
    cvl_line_set_destroy(lower);
}

static void expect_list(const char *path, int count, const char *const *expected)
{
    struct cvl_layers layers;
    assert_int_equal(cvl_layers_of(path, &layers), CVL_OK);
    assert_int_equal(layers.count, count);
    for (int i = 0; i < count; i++)
        if (expected[i])
            assert_string_equal(layers.path[i], expected[i]);
    cvl_layers_free(&layers);
}

static void test_lists(void **state)
{
    char colon[PATH_BYTES + 32];
    setenv("XDG_CACHE_HOME", "/xdg", 1);
    unsetenv("CVL_CACHE");
    expect_list("", 0, NULL);
    expect_list("one", 1, (const char *[]){ "one" });
    expect_list("a:b", 2, (const char *[]){ "a", "b" });
    expect_list(NULL, 3, (const char *[]){ "/xdg/convlab", ".convlab", NULL });   /* the third: as configured */
    expect_list("a.cvl:", 4, (const char *[]){ "a.cvl", "/xdg/convlab", ".convlab", NULL });
    expect_list(":z", 4, (const char *[]){ "/xdg/convlab", ".convlab", NULL, "z" });
    setenv("CVL_CACHE", "from:variable", 1);
    expect_list(NULL, 2, (const char *[]){ "from", "variable" });
    unsetenv("CVL_CACHE");
    snprintf(colon, sizeof colon, "%s/with:colon", here.folder);
    assert_int_equal(mkdir(colon, 0777), 0);
    expect_list(colon, 1, (const char *[]){ colon });
    char many[CVL_LAYERS_MAX * 2 + 4] = "";
    for (int i = 0; i <= CVL_LAYERS_MAX; i++)
        strcat(many, i ? ":x" : "x");
    struct cvl_layers layers;
    assert_int_equal(cvl_layers_of(many, &layers), CVL_EINVAL);
}

static void test_the_first_directory_is_written_to(void **state)
{
    char file[PATH_BYTES + 32], list[4 * PATH_BYTES], lowest[PATH_BYTES + 32];
    struct cvl_line_set *shipped = fixture_set();
    snprintf(file, sizeof file, "%s/explicit.cvl", here.folder);
    snprintf(lowest, sizeof lowest, "%s/lowest", here.folder);
    add(shipped, "explicit", "direct", 1, 0);
    assert_int_equal(cvl_line_set_write(shipped, file), CVL_OK);
    cvl_line_set_destroy(shipped);
    store_fill(lowest, 100, 3);
    snprintf(list, sizeof list, "%s:%s:%s", file, here.cache, lowest);

    struct cvl_store *store = store_open(list);
    assert_string_equal(cvl_store_path(store), here.cache);
    assert_string_equal(known(cvl_store_lines(store), "explicit"), "direct=1 ");
    assert_true(store_has(cvl_store_lines(store), 101));
    assert_int_equal(store_add(store, 7), CVL_OK);
    assert_int_equal(cvl_store_sync(store), CVL_OK);
    cvl_store_close(store);
    store_holds(here.cache, 7, 1);
    store_holds(lowest, 100, 3);
    assert_int_equal(fixture_count(lowest, ".cvl"), 1);
    store = store_open(here.cache);
    assert_false(store_has(cvl_store_lines(store), 101));   /* what lies below is not copied */
    cvl_store_close(store);
}

int main(void)
{
#define EACH(test) cmocka_unit_test_setup_teardown(test, store_set_up, store_tear_down)
    const struct CMUnitTest tests[] = {
        EACH(test_the_uppermost_that_knows_a_problem_answers), EACH(test_lists),
        EACH(test_the_first_directory_is_written_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
