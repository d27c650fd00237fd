/* SPDX-License-Identifier: Apache-2.0 */
#include "store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct store_fixture here;

int store_set_up(void **state)
{
    fixture_folder(here.folder);
    snprintf(here.cache, sizeof here.cache, "%s/deep/down/cache", here.folder);
    here.ctx = fixture_ctx(&here.logged);
    return 0;
}

int store_tear_down(void **state)
{
    cvl_ctx_destroy(here.ctx);
    fixture_remove(here.folder);
    return 0;
}

struct cvl_store *store_open(const char *path)
{
    struct cvl_store *store;
    assert_int_equal(cvl_store_open(here.ctx, path, &store), CVL_OK);
    return store;
}

cvl_status store_add(struct cvl_store *store, int number)
{
    const struct cvl_record record = fixture_numbered_record(number);
    char line[CVL_LINE_MAX];
    return cvl_store_add(store, line, cvl_record_print(&record, line));
}

bool store_has(const struct cvl_line_set *lines, int number)
{
    const struct cvl_record record = fixture_numbered_record(number);
    char line[CVL_LINE_MAX];
    return cvl_line_set_covers(lines, line, cvl_record_print(&record, line));
}

void store_fill(const char *path, int first, int count)
{
    struct cvl_store *store = store_open(path);
    for (int i = 0; i < count; i++)
        assert_int_equal(store_add(store, first + i), CVL_OK);
    assert_int_equal(cvl_store_sync(store), CVL_OK);
    cvl_store_close(store);
}

void store_holds(const char *path, int first, int count)
{
    struct cvl_store *store = store_open(path);
    for (int i = 0; i < count; i++)
        if (!store_has(cvl_store_lines(store), first + i))
            fail_msg("line %d is lost", first + i);
    cvl_store_close(store);
}

bool store_keep_all(void *arg, enum cvl_line_kind kind, const char *line, size_t length)
{
    return true;
}
