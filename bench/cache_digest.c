/* SPDX-License-Identifier: Apache-2.0
 * One number for what a cache decides: equal for two caches that choose the same, whatever their times are. */
#include "bench/cache_report.h"

#include <inttypes.h>
#include <stdio.h>
#include "base/hash.h"

struct digest { uint64_t hash, environment; int choices; const struct cvl_line_set *set; };

static void put(const struct digest *digest)
{
    char text[256];
    if (digest->choices == 0)
        return;
    cache_describe(digest->set, digest->environment, text, sizeof text);
    printf("%016" PRIx64 "  %d choices  %016" PRIx64 "  %s\n", digest->hash, digest->choices, digest->environment, text);
}

static void add(void *arg, const struct cache_group *group)
{
    struct digest *digest = arg;
    char line[CVL_LINE_MAX];
    if (group->chosen < 0)
        return;
    if (digest->choices && digest->environment != group->environment) {
        put(digest);
        *digest = (struct digest){ .set = digest->set };
    }
    digest->environment = group->environment;
    const int length = snprintf(line, sizeof line, "%s %s %s", cvl_state_name(group->state), group->problem,
                                group->records[group->chosen].candidate);
    digest->hash = cvl_hash_mix(digest->hash, cvl_hash_bytes(line, (size_t)length));
    digest->choices++;
}

cvl_status cache_digest(const struct cvl_line_set *set, const struct cache_filter *filter)
{
    struct digest digest = { .set = set };
    const cvl_status status = cache_groups_each(set, filter, add, &digest);
    put(&digest);
    return status;
}
