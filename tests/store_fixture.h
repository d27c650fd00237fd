/* SPDX-License-Identifier: Apache-2.0
 * What the tests of the cache at rest share: a folder of their own for each test, and numbered lines in caches. */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include "cache_fixture.h"
#include "tuner/store.h"

struct store_fixture {
    char               folder[PATH_BYTES];
    char               cache[PATH_BYTES + 32];   /* below folder; not there yet */
    struct fixture_log logged;
    cvl_ctx           *ctx;
};
extern struct store_fixture here;

int store_set_up(void **state);
int store_tear_down(void **state);

/* Lines are those of fixture_numbered_record. */
struct cvl_store *store_open(const char *path);
cvl_status        store_add(struct cvl_store *store, int number);
bool              store_has(const struct cvl_line_set *lines, int number);
void              store_fill(const char *path, int first, int count);   /* opens, adds, syncs, closes */
void              store_holds(const char *path, int first, int count);  /* or the test ends */
bool              store_keep_all(void *arg, enum cvl_line_kind kind, const char *line, size_t length);

#endif
